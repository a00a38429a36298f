//! What is done with bytes from outside in fuzzing; see `p2pshare_core::testing::fuzz`. It is part of the library so
//! that an ordinary test and `cargo fuzz` run the same functions; nothing else uses it.

use crate::{download, index_client::IndexUrl, link::ShareLink};

pub use crate::{
    local::fuzz::range,
    net::fuzz::{fetch_stream, push_stream},
};

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: [Target; 6] = [
    ("fetch_stream", fetch_stream),
    ("index_url", index_url),
    ("link", link),
    ("push_stream", push_stream),
    ("range", range),
    ("target", target),
];

/// A URL of an index survives its text, and has neither password nor query.
///
/// # Panics
/// When it does not, as all targets do.
pub fn index_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = text.parse::<IndexUrl>() else { return };
    let shown = url.to_string();
    assert_eq!(shown.parse(), Ok(url.clone()), "{shown}");
    assert!(url.is_same_place(&url));
    assert!(shown.starts_with("http") && !shown.contains('?'), "{shown}");
}

/// A link survives its text, and names one file without a folder.
///
/// # Panics
/// When it does not.
pub fn link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(link) = text.parse::<ShareLink>() else { return };
    assert!(ShareLink::is_meant(text), "{text}");
    let shown = link.to_string();
    let name = shown.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "%-._~#=".contains(c);
    assert!(shown.is_ascii() && name.chars().all(plain), "{shown}");
    assert_eq!(shown.parse(), Ok(link.clone()), "{shown}");
    assert_eq!(link.name().parts().count(), 1, "{shown}");
    let made = ShareLink::new(link.index().clone(), link.content(), link.name());
    assert_eq!(made, link);
}

/// What a person names survives its text.
///
/// # Panics
/// When it does not.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(target) = text.parse::<download::Target>() else { return };
    assert_eq!(target.to_string().parse(), Ok(target.clone()), "{target}");
}
