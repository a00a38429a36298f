//! The description of the API, made from the code.

use p2pshare_core::api::{Kind, Problem, ProblemKind, Sort};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, Header, Info, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
        path::{Operation, PathItem},
        response::{Response, ResponseBuilder},
        schema::{ComponentsBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::routes;

const BEARER: &str = "session";

const ABOUT: &str = "The index of p2pshare: accounts, catalog and search for a community. Files never pass through it. \
Errors are problem documents (RFC 9457) whose `type` is stable; every answer has an `x-request-id`. A path that is no \
call is answered with 404, a method that the call does not have with 405 and `Allow`. A head that is too large (414, 431) \
or no HTTP (400) is answered without a body, and the connection is closed.";

/// The OpenAPI 3.1 document of the whole API.
pub fn document() -> OpenApi {
    let (_router, mut document) = routes::all().split_for_parts();
    for (path, item) in &mut document.paths.paths {
        let limited = path.starts_with("/v1/");
        for operation in operations(item) {
            complete(operation, limited);
        }
    }
    document
}

/// What the calls are added to.
pub(super) fn base() -> OpenApi {
    let mut info = Info::new("p2pshare index", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("The token of a session, as `POST /v1/sessions` gives it".to_owned());
    let components = ComponentsBuilder::new()
        .schema(Problem::name(), Problem::schema())
        // Only parameters use these two, which are not collected from the calls.
        .schema(Kind::name(), Kind::schema())
        .schema(Sort::name(), Sort::schema())
        .security_scheme(BEARER, SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Adds the ways to fail that many calls share, and says of every failure that it is a problem document.
fn complete(operation: &mut Operation, limited: bool) {
    let open = operation.security.is_some();
    let takes_input = operation.parameters.is_some() || operation.request_body.is_some();
    let mut kinds = vec![ProblemKind::Internal];
    if limited || operation.operation_id.as_deref() == Some("readyz") {
        kinds.push(ProblemKind::Unavailable);
    }
    if limited {
        kinds.push(ProblemKind::TooManyRequests);
    }
    if takes_input {
        kinds.push(ProblemKind::InvalidRequest);
    }
    if let Some(body) = &mut operation.request_body {
        if let RefOr::T(body) = body {
            body.required = Some(Required::True);
        }
        kinds.extend([ProblemKind::TooLarge, ProblemKind::UnsupportedMediaType]);
    }
    if !open {
        kinds.extend([ProblemKind::NotLoggedIn, ProblemKind::Forbidden]);
    }
    let responses = &mut operation.responses.responses;
    for kind in kinds {
        responses
            .entry(kind.status().to_string())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().description(kind.title()).build()));
    }
    for (status, response) in responses.iter_mut() {
        let failed = status.starts_with(['4', '5']);
        if let (true, RefOr::T(response)) = (failed, response) {
            describe_problem(response);
            if status == "429" {
                response.headers.insert("Retry-After".to_owned(), RefOr::T(seconds_to_wait()));
            }
        }
    }
}

fn describe_problem(response: &mut Response) {
    let schema = Ref::from_schema_name(Problem::name());
    response
        .content
        .insert("application/problem+json".to_owned(), Content::new(Some(schema)).into());
}

fn seconds_to_wait() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let mut header = Header::new(seconds.build());
    header.description = Some("Seconds after which it may be tried again".to_owned());
    header
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn as_json() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = as_json();
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 50, "{}", references.len());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_operation_is_described_whole() {
        let document = as_json();
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let call = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{call}: {id} is not unique");
                assert!(operation["summary"].is_string(), "{call}");
                check_responses(&call, &operation["responses"]);
                check_path_parameters(&call, path, operation);
                let open = operation.get("security").is_some();
                let takes_password = ["log_in", "register"].contains(&id);
                assert_eq!(!open, operation["responses"].get("401").is_some() && !takes_password);
            }
        }
        assert!(document["components"]["securitySchemes"][BEARER].is_object());
    }

    fn check_responses(call: &str, responses: &Value) {
        let responses = responses.as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{call}");
        for (status, response) in responses {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{call} {status}");
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            let failed = !status.starts_with('2');
            assert_eq!(problem.is_string(), failed, "{call} {status}");
        }
    }

    fn check_path_parameters(call: &str, path: &str, operation: &Value) {
        let mut in_path: Vec<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let none = Vec::new();
        let mut described: Vec<&str> = operation["parameters"]
            .as_array()
            .unwrap_or(&none)
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        in_path.sort_unstable();
        described.sort_unstable();
        assert_eq!(in_path, described, "{call}");
    }

    fn collect_references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                into.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| collect_references(value, into));
            }
            Value::Array(list) => list.iter().for_each(|value| collect_references(value, into)),
            _ => {}
        }
    }
}
