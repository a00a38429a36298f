//! The page: files that are part of the program.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use p2pshare_core::{api::ProblemKind, content::ContentId};

use super::failure::Failure;

const HTML: &str = "text/html; charset=utf-8";

/// A file of the page.
struct Asset {
    /// Its path in the URL.
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// A file of the folder `ui`, by its name there.
macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset {
            path: concat!("/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../ui/", $name)),
        }
    };
}

/// All files. `/` is `index.html`.
const ASSETS: &[Asset] = &[asset!("index.html", HTML)];

/// Answers with the file of this path.
pub(super) fn answer(path: &str, headers: &HeaderMap) -> Response {
    let path = if path == "/" { "/index.html" } else { path };
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return Failure::new(ProblemKind::NotFound, "there is nothing here").into_response();
    };
    let etag = format!("\"{}\"", ContentId::of(asset.bytes));
    let seen = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|tag| tag.trim() == etag))
    });
    // A new version of the program has new files under the same names.
    let fresh = [
        (header::ETAG, HeaderValue::from_str(&etag).ok()),
        (header::CACHE_CONTROL, Some(HeaderValue::from_static("no-cache"))),
    ];
    let mut response = match seen {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response(),
    };
    for (name, value) in fresh {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_seen_is_not_sent_again() {
        let first = answer("/", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let etag = first.headers()[header::ETAG].clone();
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]);
        assert_eq!(answer("/index.html", &again).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer("/../Cargo.toml", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
    }
}
