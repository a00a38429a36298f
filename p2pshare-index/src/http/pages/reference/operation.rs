//! One call: what it takes, what it answers, an example.

use serde_json::Value;

use super::{Call, prose, schema, text, write as put};
use crate::http::pages::template::Escaped;

/// Writes the article of a call.
pub(super) fn write(html: &mut String, call: &Call<'_>, document: &Value) {
    let operation = call.operation;
    let (id, method, path) = (Escaped(call.id), Escaped(call.method), Escaped(call.path));
    let open = operation["security"].as_array().is_some_and(|needed| {
        needed.iter().all(|one| one.as_object().is_none_or(serde_json::Map::is_empty))
    });
    let access = if open { "Anybody" } else { "Needs a session" };
    let words = format!("{} {} {}", call.method, call.path, text(&operation["summary"]));
    put(
        html,
        format_args!(
            "<article class=\"call\" id=\"{id}\" data-words=\"{words}\"><h3><span class=\"method {method}\">{method}</span> \
             <code class=\"path\">{path}</code> <a class=\"anchor\" href=\"#{id}\" aria-label=\"Link to {method} {path}\">#</a>\
             <span class=\"access\">{access}</span></h3><p>{summary}</p>",
            words = Escaped(words.to_lowercase()),
            summary = prose(text(&operation["summary"])),
        ),
    );
    if let Some(more) = operation["description"].as_str() {
        put(html, format_args!("<p>{}</p>", prose(more)));
    }
    write_parameters(html, &operation["parameters"]);
    write_body(html, &operation["requestBody"]);
    write_responses(html, &operation["responses"]);
    write_example(html, call, open, document);
    html.push_str("</article>");
}

fn write_parameters(html: &mut String, parameters: &Value) {
    let Some(parameters) = parameters.as_array().filter(|all| !all.is_empty()) else {
        return;
    };
    html.push_str(
        "<h4>Parameters</h4><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Name</th>\
         <th scope=\"col\">Where</th><th scope=\"col\">What</th></tr></thead><tbody>",
    );
    for parameter in parameters {
        let must = if parameter["required"] == true {
            " <span class=\"must\">required</span>"
        } else {
            ""
        };
        put(
            html,
            format_args!(
                "<tr><td><code>{name}</code>{must}</td><td>{place}</td><td>{kind}<p>{about}</p></td></tr>",
                name = Escaped(text(&parameter["name"])),
                place = Escaped(text(&parameter["in"])),
                kind = schema::kind(&parameter["schema"]),
                about = prose(text(&parameter["description"])),
            ),
        );
    }
    html.push_str("</tbody></table></div>");
}

fn write_body(html: &mut String, body: &Value) {
    let Some(content) = body["content"].as_object() else {
        return;
    };
    html.push_str("<h4>Body</h4>");
    for (media, content) in content {
        put(
            html,
            format_args!(
                "<p>{} <span class=\"media\">{}</span></p>",
                schema::kind(&content["schema"]),
                Escaped(media)
            ),
        );
    }
}

fn write_responses(html: &mut String, responses: &Value) {
    html.push_str("<h4>Answers</h4><ul class=\"answers\">");
    for (status, response) in responses.as_object().into_iter().flatten() {
        let class = if status.starts_with('2') { "good" } else { "bad" };
        put(
            html,
            format_args!(
                "<li><span class=\"status {class}\">{}</span> {}",
                Escaped(status),
                prose(text(&response["description"]))
            ),
        );
        let kinds = response["content"].as_object().into_iter().flatten();
        // Every failure is a problem document: said once, above.
        for (media, content) in kinds.filter(|_| class == "good") {
            put(html, format_args!(": {}", schema::kind(&content["schema"])));
            if media != "application/json" {
                put(html, format_args!(" <span class=\"media\">{}</span>", Escaped(media)));
            }
        }
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

/// How to make the call with curl, and what comes back.
fn write_example(html: &mut String, call: &Call<'_>, open: bool, document: &Value) {
    let mut path = call.path.to_owned();
    let parameters = call.operation["parameters"].as_array().into_iter().flatten();
    for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
        let name = text(&parameter["name"]);
        let example = match schema::example(&parameter["schema"], document) {
            Value::String(example) => example,
            other => other.to_string(),
        };
        path = path.replace(&format!("{{{name}}}"), &example);
    }
    let method = call.method.to_uppercase();
    let mut lines = match method.as_str() {
        "GET" => vec![format!("curl \"$INDEX{path}\"")],
        _ => vec![format!("curl -X {method} \"$INDEX{path}\"")],
    };
    if !open {
        lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    let body = &call.operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", pretty(&schema::example(body, document))));
    }
    put(
        html,
        format_args!(
            "<details><summary>Example</summary><pre tabindex=\"0\"><code>{}</code></pre>",
            Escaped(lines.join(" \\\n  "))
        ),
    );
    let responses = call.operation["responses"].as_object().into_iter().flatten();
    let given =
        responses.filter(|(status, _)| status.starts_with('2')).find_map(|(_, response)| {
            let schema = &response["content"]["application/json"]["schema"];
            (!schema.is_null() && *schema != serde_json::json!({ "type": "object" }))
                .then_some(schema)
        });
    if let Some(given) = given {
        let example = pretty(&schema::example(given, document));
        put(
            html,
            format_args!(
                "<p>answers</p><pre tabindex=\"0\"><code>{}</code></pre>",
                Escaped(example)
            ),
        );
    }
    html.push_str("</details>");
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
