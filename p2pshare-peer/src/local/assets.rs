//! The page: files that are part of the program.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use p2pshare_core::{api::ProblemKind, content::ContentId};

use super::failure::Failure;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

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
const ASSETS: &[Asset] = &[
    asset!("api.js", SCRIPT),
    asset!("base.css", CSS),
    asset!("dialog.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("download-row.js", SCRIPT),
    asset!("downloads.js", SCRIPT),
    asset!("drop.js", SCRIPT),
    asset!("hit.js", SCRIPT),
    asset!("icons.svg", SVG),
    asset!("index.html", HTML),
    asset!("list.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("logo.svg", SVG),
    asset!("main.js", SCRIPT),
    asset!("parts.css", CSS),
    asset!("parts.js", SCRIPT),
    asset!("picker.js", SCRIPT),
    asset!("pushes.js", SCRIPT),
    asset!("router.js", SCRIPT),
    asset!("scroll.js", SCRIPT),
    asset!("sending.js", SCRIPT),
    asset!("shell.js", SCRIPT),
    asset!("targets.js", SCRIPT),
    asset!("text.js", SCRIPT),
    asset!("theme.js", SCRIPT),
    asset!("views.css", CSS),
    asset!("views/browse.js", SCRIPT),
    asset!("views/download.js", SCRIPT),
    asset!("views/downloads.js", SCRIPT),
    asset!("views/group.js", SCRIPT),
    asset!("views/groups.js", SCRIPT),
    asset!("views/login.js", SCRIPT),
    asset!("views/more.js", SCRIPT),
    asset!("views/push.js", SCRIPT),
    asset!("views/search.js", SCRIPT),
    asset!("views/settings.js", SCRIPT),
    asset!("views/shares.js", SCRIPT),
    asset!("views/uploads.js", SCRIPT),
];

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
