//! What a browser is told of a content: never to run anything that is in it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a header's extended value without an escape (RFC 8187).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Images in which nothing can run.
const IMAGES: [&str; 7] = ["png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon"];

/// How a content is shown.
pub(super) struct Shown {
    pub(super) content_type: String,
    pub(super) disposition: String,
}

/// How a content of this name is shown: sound, films, pictures and plain text in the browser, all else is kept as a
/// file. The name is what whoever asks calls it; nobody's word but theirs is taken.
pub(super) fn shown(name: &str) -> Shown {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    let essence = guessed.essence_str();
    let (content_type, inline) = match (guessed.type_().as_str(), guessed.subtype().as_str()) {
        ("audio" | "video", _) => (essence, true),
        ("image", image) if IMAGES.contains(&image) => (essence, true),
        // Whatever it says it is written in, it is shown as it is.
        ("text", "plain" | "markdown" | "csv") => ("text/plain; charset=utf-8", true),
        ("application", "pdf" | "zip" | "gzip" | "json" | "epub+zip" | "x-tar") => (essence, false),
        _ => ("application/octet-stream", false),
    };
    let kind = if inline { "inline" } else { "attachment" };
    let name = utf8_percent_encode(name, ESCAPED);
    Shown {
        content_type: content_type.to_owned(),
        disposition: format!("{kind}; filename*=UTF-8''{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_is_shown() {
        for name in [
            "a.html", "a.svg", "a.xhtml", "a.xml", "a.js", "a.mht", "a.swf", "a", "", "a.HTM",
            "a.xsl",
        ] {
            let shown = shown(name);
            assert_eq!(shown.content_type, "application/octet-stream", "{name}");
            assert!(shown.disposition.starts_with("attachment;"), "{name}");
        }
    }

    #[test]
    fn media_are_shown_under_their_names() {
        let film = shown("Nosferatu (1922) \"é\"\r\n.mkv");
        assert!(film.content_type.starts_with("video/"), "{}", film.content_type);
        assert_eq!(
            film.disposition,
            "inline; filename*=UTF-8''Nosferatu%20%281922%29%20%22%C3%A9%22%0D%0A.mkv"
        );
        assert_eq!(shown("a.flac").content_type, "audio/flac");
        assert_eq!(shown("a.md").content_type, "text/plain; charset=utf-8");
        assert_eq!(shown("a.pdf").disposition, "attachment; filename*=UTF-8''a.pdf");
    }
}
