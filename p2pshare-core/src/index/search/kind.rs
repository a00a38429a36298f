//! The kind of a file, from its extension.

use crate::api::Kind;

const AUDIO: &[&str] = &[
    "aac", "aif", "aiff", "ape", "flac", "m4a", "m4b", "mid", "midi", "mka", "mp3", "oga", "ogg",
    "opus", "wav", "wma", "wv",
];
const VIDEO: &[&str] = &[
    "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "vob",
    "webm", "wmv",
];
const IMAGE: &[&str] = &[
    "avif", "bmp", "cr2", "dng", "gif", "heic", "heif", "ico", "jpeg", "jpg", "jxl", "nef", "png",
    "psd", "svg", "tif", "tiff", "webp",
];
const DOCUMENT: &[&str] = &[
    "azw3", "csv", "djvu", "doc", "docx", "epub", "htm", "html", "ipynb", "md", "mobi", "odp",
    "ods", "odt", "pdf", "ppt", "pptx", "rst", "rtf", "tex", "tsv", "txt", "xls", "xlsx",
];
const ARCHIVE: &[&str] = &[
    "7z", "apk", "br", "bz2", "cab", "deb", "dmg", "gz", "img", "iso", "jar", "lz4", "lzma",
    "qcow2", "rar", "rpm", "tar", "tgz", "vmdk", "whl", "xz", "zip", "zst",
];

/// The extensions of a kind, in lower case; none for [`Kind::Other`], which is everything that no other kind has.
pub fn extensions_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Audio => AUDIO,
        Kind::Video => VIDEO,
        Kind::Image => IMAGE,
        Kind::Document => DOCUMENT,
        Kind::Archive => ARCHIVE,
        Kind::Other => &[],
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Audio, Self::Video, Self::Image, Self::Document, Self::Archive, Self::Other];

    /// The kind of a file with this extension, given in lower case and without the dot.
    pub fn of(extension: Option<&str>) -> Self {
        let Some(extension) = extension else {
            return Self::Other;
        };
        Self::ALL
            .into_iter()
            .find(|kind| extensions_of(*kind).contains(&extension))
            .unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_extension_has_two_kinds() {
        let mut all: Vec<_> = Kind::ALL.iter().flat_map(|kind| extensions_of(*kind)).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(Kind::of(Some("flac")), Kind::Audio);
        assert_eq!(Kind::of(Some("xyz")), Kind::Other);
        assert_eq!(Kind::of(None), Kind::Other);
    }
}
