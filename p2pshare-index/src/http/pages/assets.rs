//! What the pages consist of, in the program.

use std::sync::LazyLock;

use bytes::Bytes;

use super::File;

/// A file and where it is.
#[derive(Clone)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) file: File,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($media:ident $path:literal,)*) => {
        [$((
            concat!("/assets/", $path),
            $media,
            include_bytes!(concat!("../../../pages/", $path)).as_slice(),
        ),)*]
    };
}

/// All of them.
pub(super) fn all() -> &'static [Asset] {
    static ALL: LazyLock<Vec<Asset>> = LazyLock::new(|| {
        let files = assets! {
            CSS "style.css",
            CSS "docs.css",
            CSS "operator.css",
            SVG "icon.svg",
            JS "copy.js",
            JS "docs.js",
            JS "operator/main.js",
            JS "operator/api.js",
            JS "operator/dom.js",
            JS "operator/listing.js",
            JS "operator/load.js",
            JS "operator/users.js",
            JS "operator/invites.js",
            JS "operator/audit.js",
        };
        let asset =
            |(path, media, body)| Asset { path, file: File::new(media, Bytes::from_static(body)) };
        files.into_iter().map(asset).collect()
    });
    &ALL
}
