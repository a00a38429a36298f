//! The gateway: contents as files over HTTP, while they are still being downloaded.

mod media;
pub(super) mod range;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use p2pshare_core::{api::ProblemKind, content::ContentId, path::SharePath};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use super::{
    App,
    extract::Path,
    failure::{Answer, Failure},
};
use range::Wanted;

const PREFIX: &str = "/content/";

/// What comes from others must do nothing in a browser but be shown.
const POLICY: &str = "default-src 'none'; img-src 'self'; media-src 'self'; \
                      style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

pub(super) fn routes() -> Router<App> {
    // What is answered to GET is answered to HEAD too.
    Router::new().route("/content/{id}/{name}", get(content))
}

/// Whether a request is for a content.
pub(super) fn is_meant(uri: &Uri) -> bool {
    uri.path().starts_with(PREFIX)
}

/// Whether a request shows the key of the content that it asks for.
pub(super) fn has_key(app: &App, uri: &Uri) -> bool {
    let content = uri.path().strip_prefix(PREFIX).and_then(|rest| rest.split('/').next());
    let Some(Ok(content)) = content.map(str::parse) else { return false };
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let key = pairs.find_map(|(name, value)| (name == "key").then_some(value));
    key.is_some_and(|key| app.access.is_key_of(&content, &key))
}

/// A URL from which this one content can be read without anything else to show.
pub(super) fn url(app: &App, content: &ContentId, name: &SharePath) -> String {
    let name = utf8_percent_encode(name.file_name(), NON_ALPHANUMERIC);
    let (address, key) = (app.address, app.access.key_of(content));
    format!("http://{address}{PREFIX}{content}/{name}?key={key}")
}

async fn content(
    State(app): State<App>,
    Path((id, name)): Path<(ContentId, String)>,
    request: Request,
) -> Answer<Response> {
    let etag = format!("\"{id}\"");
    if let Some(answer) = range::precondition(request.headers(), &etag) {
        return Ok(with_etag(answer.into_response(), &etag));
    }
    let place = app.readers.clone().try_acquire_owned().map_err(|_| {
        Failure::new(ProblemKind::Unavailable, "too many contents are read at once")
            .hint("try again when another reader has ended")
    })?;
    let reader = app.node.downloads().reader(id, None).await?;
    let len = reader.len();
    let ranges = request.method() == Method::GET && range::is_current(request.headers(), &etag);
    let wanted = match ranges {
        true => range::wanted(request.headers(), len),
        false => Wanted::Whole,
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => return Ok(unsatisfiable(len, &etag)),
    };
    let body = if request.method() == Method::HEAD || range.is_empty() {
        Body::empty()
    } else {
        let mut bytes = reader.read(range.clone())?;
        // Whatever keeps the first of them away can still be told.
        let first = bytes.try_next().await?;
        let bytes = stream::iter(first.map(Ok)).chain(bytes);
        // The reader and its place live as long as its bytes are read.
        Body::from_stream(bytes.map(move |part| {
            let _kept = (&reader, &place);
            part
        }))
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end - 1);
        set(headers, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{len}"));
    }
    let shown = media::shown(&name);
    set(headers, header::CONTENT_TYPE, &shown.content_type);
    set(headers, header::CONTENT_DISPOSITION, &shown.disposition);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(with_etag(response, &etag))
}

fn unsatisfiable(len: u64, etag: &str) -> Response {
    let failure =
        Failure::invalid(format!("the content has {len} bytes, so there is nothing there"));
    let mut response = failure.status(StatusCode::RANGE_NOT_SATISFIABLE).into_response();
    set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{len}"));
    with_etag(response, etag)
}

/// What a content is never changes, but who may see it can: a browser asks each time.
fn with_etag(mut response: Response, etag: &str) -> Response {
    set(response.headers_mut(), header::ETAG, etag);
    let again = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, again);
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
