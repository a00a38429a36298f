//! What is around every handler: whom a request comes from, and what a browser may do with the answer.

use std::{net::SocketAddr, panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority};
use p2pshare_core::api::ProblemKind;
use url::form_urlencoded;

use super::{App, access::Proof, failure::Failure, gateway};

/// Calls have this much time; what streams has as long as it takes.
const CALL_TIME: Duration = Duration::from_secs(120);

/// The page gets everything from here, and nobody may show it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Headers of every answer, unless the handler has said otherwise.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// What is shown to a browser that may not see the page.
const LOCKED: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><title>p2pshare</title>\
    <h1>This page needs a key</h1><p>It belongs to a p2pshare peer that answers its owner only. \
    If that is you, run</p><pre>p2pshare-peer ui</pre>\
    <p>and open the address that it prints. Each address works once, and for a quarter of an hour.</p></html>";

/// The outermost layer.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = let_in(&app, request, next).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn let_in(app: &App, request: Request, next: Next) -> Response {
    if let Err(failure) = check_host(app.address, request.headers(), request.uri().authority()) {
        return failure.into_response();
    }
    let is_root = request.uri().path() == "/";
    let proof = app.access.proof(request.headers());
    if is_root
        && request.method() == Method::GET
        && let Some(token) = parameter(&request, "token")
    {
        return match (app.access.redeem(&token), proof) {
            (Some(cookie), _) => {
                ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
            }
            // The page was loaded anew, with the address of before.
            (None, Some(_)) => Redirect::to("/").into_response(),
            (None, None) => locked(),
        };
    }
    let allowed = match proof {
        Some(proof) => check_page(app, proof, &request),
        None if gateway::has_key(app, request.uri()) && is_reading(request.method()) => Ok(()),
        None if is_root && is_reading(request.method()) => return locked(),
        None => Err(Failure::no_access()),
    };
    if let Err(failure) = allowed {
        return closing(failure.into_response());
    }
    let streams = gateway::is_meant(request.uri()) || STREAMS.contains(&request.uri().path());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answer = match streams {
        true => Ok(answer.await),
        false => tokio::time::timeout(CALL_TIME, answer).await,
    };
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a handler of the local server panicked");
            Failure::new(ProblemKind::Internal, "the peer failed").into_response()
        }
        Err(_) => Failure::new(
            ProblemKind::Timeout,
            format!("the request took longer than {} s", CALL_TIME.as_secs()),
        )
        .into_response(),
    }
}

/// Calls that last as long as somebody listens or sends.
const STREAMS: [&str; 2] = ["/api/events", "/api/dropped"];

/// A name that leads here although it is not this machine's own is a stranger's, who wants a browser to take his page
/// and this one for the same (DNS rebinding).
fn check_host(
    address: SocketAddr,
    headers: &HeaderMap,
    authority: Option<&Authority>,
) -> Result<(), Failure> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    let one = hosts.next().is_none();
    // A request to a proxy names it twice.
    let same = authority.is_none_or(|authority| host == Some(authority.as_str()));
    if one && same && host.is_some_and(|host| is_own(address, host)) {
        return Ok(());
    }
    Err(Failure::new(
        ProblemKind::Forbidden,
        format!("this peer is at http://{address} and under no other name"),
    )
    .status(StatusCode::MISDIRECTED_REQUEST))
}

/// Whether `HOST` or `HOST:PORT` is where the server listens.
fn is_own(address: SocketAddr, host: &str) -> bool {
    let port = address.port();
    let (name, given) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.is_empty() && !digits.ends_with(']') => {
            let number = digits.bytes().all(|digit| digit.is_ascii_digit());
            (name, digits.parse().ok().filter(|_| number))
        }
        _ => (host, Some(80)),
    };
    let own = match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    given == Some(port) && (name == own || name.eq_ignore_ascii_case("localhost"))
}

/// A cookie comes with whatever page has the browser ask: the request must be of this very page. Pages of other ports of
/// this machine count as the same site, so that `SameSite` alone does not keep them out.
fn check_page(app: &App, proof: Proof, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    let strange = || {
        Err(Failure::new(
            ProblemKind::Forbidden,
            "the request comes from another page than this peer's",
        ))
    };
    let changes = !is_reading(request.method());
    if changes
        && let Some(origin) = headers.get(header::ORIGIN)
        && !origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"))
            .is_some_and(|host| is_own(app.address, host))
    {
        return strange();
    }
    if proof == Proof::Control {
        return Ok(());
    }
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match value("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        // Somebody follows a link to the page itself.
        Some(_) if !changes && value("sec-fetch-mode") == Some("navigate") => Ok(()),
        Some(_) => strange(),
    }
}

fn is_reading(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// The first value of a parameter in the query.
pub(super) fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?.as_bytes();
    let mut pairs = form_urlencoded::parse(query);
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

fn locked() -> Response {
    closing((StatusCode::UNAUTHORIZED, Html(LOCKED)).into_response())
}

/// Whoever is not let in keeps no connection.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_are_taken() {
        let four: SocketAddr = "127.0.0.1:7402".parse().unwrap();
        for own in ["127.0.0.1:7402", "localhost:7402", "LocalHost:7402"] {
            assert!(is_own(four, own), "{own}");
        }
        for strange in [
            "",
            ":",
            "127.0.0.1",
            "127.0.0.1:7403",
            "127.0.0.1:",
            "evil.example:7402",
            "127.0.0.2:7402",
            "localhost.:7402",
            "localhost.evil.example:7402",
            "[::1]:7402",
            "127.0.0.1:7402:7402",
            "user@127.0.0.1:7402",
            "127.0.0.1:+7402",
        ] {
            assert!(!is_own(four, strange), "{strange}");
        }
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        for own in ["[::1]:80", "[::1]", "localhost"] {
            assert!(is_own(six, own), "{own}");
        }
    }
}
