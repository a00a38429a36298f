//! Links to shared contents, to be sent to somebody by other means.

use std::{fmt, str::FromStr};

use p2pshare_core::{content::ContentId, path::SharePath};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::index_client::IndexUrl;

/// What begins a link. A user may have the name `p2pshare`, so `p2pshare:/Films` is no link: a URL must follow.
const SCHEME: &str = "p2pshare:";

/// All but the unreserved characters of RFC 3986: a link needs no quotes in a shell.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A link: which content, at which index, and what the file is called.
///
/// Its text is the URL of the index between `p2pshare:` and the content id, then the file's name:
/// `p2pshare:https://example.org:7400/CONTENT_ID/NAME#sha256=HEX`. It permits nothing by itself: whoever uses it needs
/// an account at that index, and must be allowed to fetch the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLink {
    index: IndexUrl,
    content: ContentId,
    name: SharePath,
}

/// A text that is no [`ShareLink`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a link to a content: {reason}; a link looks like p2pshare:http://127.0.0.1:7400/CONTENT_ID/NAME"
)]
pub struct ShareLinkError {
    text: String,
    reason: String,
}

impl ShareLink {
    /// Longest link that is read, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// A link to `content` at `index`. Of `path` only the last part counts, as the name of the file.
    pub fn new(index: IndexUrl, content: ContentId, path: &SharePath) -> Self {
        Self { index, content, name: path.last() }
    }

    /// Whether a text means to be a link, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        let url = text.strip_prefix(SCHEME).and_then(|rest| rest.get(..4));
        url.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
    }

    /// The index where the content is shared.
    pub fn index(&self) -> &IndexUrl {
        &self.index
    }

    /// The content.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// What the file is called: one part, no folder.
    pub fn name(&self) -> &SharePath {
        &self.name
    }
}

impl fmt::Display for ShareLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index.to_string();
        let (base, pin) = match index.split_once('#') {
            Some((base, pin)) => (base, Some(pin)),
            None => (index.as_str(), None),
        };
        let name = utf8_percent_encode(self.name.as_str(), ESCAPED);
        write!(f, "{SCHEME}{base}/{}/{name}", self.content)?;
        pin.map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

impl FromStr for ShareLink {
    type Err = ShareLinkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
            .map_err(|reason| ShareLinkError { text: text.chars().take(200).collect(), reason })
    }
}

fn parse(text: &str) -> Result<ShareLink, String> {
    if text.len() > ShareLink::MAX_BYTES {
        return Err(format!("it is longer than {} bytes", ShareLink::MAX_BYTES));
    }
    let url = text.strip_prefix(SCHEME).ok_or("it does not begin with p2pshare:")?;
    let (path, pin) = match url.split_once('#') {
        Some((path, pin)) => (path, format!("#{pin}")),
        None => (url, String::new()),
    };
    let mut parts = path.rsplitn(3, '/');
    let (Some(name), Some(content), Some(base)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has no content id and name".into());
    };
    let content = content.parse().map_err(|error| format!("{error}"))?;
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_| "the name is not UTF-8")
        .map(|name| SharePath::parse(&name))?
        .map_err(|error| format!("the name cannot be used: {error}"))?;
    if name.parent().is_some() {
        return Err("the name is that of a file in a folder: a link names one file alone".into());
    }
    if !ShareLink::is_meant(text) {
        return Err("after p2pshare: the URL of an index must follow, http:// or https://".into());
    }
    let index = format!("{base}{pin}").parse().map_err(|error| format!("{error}"))?;
    Ok(ShareLink { index, content, name })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    fn link(index: &str, path: &str) -> ShareLink {
        let path = SharePath::parse(path).unwrap();
        ShareLink::new(index.parse().unwrap(), ID.parse().unwrap(), &path)
    }

    #[test]
    fn a_link_reads_as_expected() {
        let made = link("http://127.0.0.1:7400", "Films/Nosferatu (1922) & more.mkv");
        assert_eq!(
            made.to_string(),
            format!("p2pshare:http://127.0.0.1:7400/{ID}/Nosferatu%20%281922%29%20%26%20more.mkv")
        );
    }

    #[test]
    fn links_survive_their_text() {
        let pinned = format!("https://example.org:7400/below#sha256={}", "ab".repeat(32));
        for index in ["http://127.0.0.1:7400", "http://[::1]:7400", &pinned] {
            for path in ["a", "b/ä ö.txt", "🎵.flac", "50%.txt", "x#y.txt", "a'b$c;d&e!.txt"] {
                let made = link(index, path);
                assert_eq!(made.to_string().parse(), Ok(made.clone()), "{made}");
                assert!(ShareLink::is_meant(&made.to_string()));
            }
        }
    }

    #[test]
    fn what_is_no_link_is_refused() {
        let long = format!("p2pshare:http://h/{ID}/{}", "a".repeat(5000));
        let cases = [
            (long.as_str(), "longer"),
            ("p2pshare:", "no content id"),
            (&format!("http://h/{ID}/a"), "p2pshare:"),
            (&format!("p2pshare:ftp://h/{ID}/a"), "http"),
            (&format!("p2pshare:http://h/{}/a", &ID[1..]), "content id"),
            (&format!("p2pshare:http://h/{ID}/"), "name"),
            (&format!("p2pshare:http://h/{ID}/.."), "name"),
            (&format!("p2pshare:http://h/{ID}/..%2f..%2fetc"), "name"),
            (&format!("p2pshare:http://h/{ID}/a%2Fb"), "one file"),
            (&format!("p2pshare:http://h/{ID}/a%00b"), "name"),
            (&format!("p2pshare:http://h/{ID}/%ff"), "UTF-8"),
            (&format!("p2pshare:http://h/{ID}/a#sha256=00"), "sha256"),
            (&format!("p2pshare:http://u:p@h/{ID}/a"), "password"),
        ];
        for (text, says) in cases {
            let error = text.parse::<ShareLink>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(!ShareLink::is_meant("p2pshare:/Films"), "a user may have that name");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "(p2pshare:)?(https?://)?[ -~é%/#]{0,120}") {
            if let Ok(link) = text.parse::<ShareLink>() {
                prop_assert_eq!(link.to_string().parse(), Ok(link));
            }
        }
    }
}
