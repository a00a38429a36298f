//! Pages for people: what this index is and how to join, the reference of the API, and what operators need.
//!
//! They are plain HTML and a few scripts, all of them in the program, and ask no other host for anything: the policy that
//! is sent with each forbids it. What a stranger sees tells nothing of what is shared.

mod address;
mod assets;
mod front;
mod reference;
mod template;

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;

pub use address::{PublicUrl, PublicUrlError, fuzz_public_url};

use super::state::App;
use template::fill;

/// Settings of the pages.
#[derive(Clone, Debug)]
pub struct PageOptions {
    /// What clients connect to. Unless told, it is what the visitor's browser connected to.
    pub public_url: Option<PublicUrl>,
    /// Whether clients speak TLS with this program.
    pub https: bool,
    /// SHA-256 fingerprint of the certificate in hex, if clients must pin it because nobody else vouches for it.
    pub fingerprint: Option<String>,
    /// Whether strangers are told how many accounts there are and how many peers are online.
    pub counts: bool,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self { public_url: None, https: false, fingerprint: None, counts: true }
    }
}

/// Nothing but what comes from this host, no script or style inside a page, and no page inside another.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

pub(super) fn routes() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(front::front))
        .route("/docs", get(|headers: HeaderMap| async move { DOCS.answer(&headers) }))
        .route("/operator", get(|headers: HeaderMap| async move { OPERATOR.answer(&headers) }));
    for asset in assets::all() {
        let asset = asset.clone();
        router = router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { asset.file.answer(&headers) }),
        );
    }
    router
}

static DOCS: LazyLock<File> = LazyLock::new(|| File::page(reference::page()));

static OPERATOR: LazyLock<File> = LazyLock::new(|| {
    File::page(fill(
        include_str!("../../../pages/operator.html"),
        &[("version", &env!("CARGO_PKG_VERSION"))],
    ))
});

/// Something that is the same for everybody until another version of the program runs.
#[derive(Clone)]
struct File {
    media: &'static str,
    body: Bytes,
    tag: HeaderValue,
}

impl File {
    fn page(html: String) -> Self {
        Self::new("text/html; charset=utf-8", html.into())
    }

    fn new(media: &'static str, body: Bytes) -> Self {
        let hash = HEXLOWER.encode(&digest(&SHA256, &body).as_ref()[..16]);
        // Hex is fine in a header.
        let tag = HeaderValue::from_str(&format!("\"{hash}\""))
            .unwrap_or(HeaderValue::from_static("\"\""));
        Self { media, body, tag }
    }

    /// The file, or that it is still the one that the client has.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let kept = [(header::ETAG, self.tag.clone()), (header::CACHE_CONTROL, NO_CACHE)];
        let has_it = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim().trim_start_matches("W/") == self.tag);
        if has_it {
            return (StatusCode::NOT_MODIFIED, kept, SAFE).into_response();
        }
        let media = [(header::CONTENT_TYPE, self.media)];
        (kept, media, SAFE, self.body.clone()).into_response()
    }
}

/// It may be kept, but is asked for each time.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Headers of everything that a browser shows or runs.
const SAFE: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];
