//! What a person asks to download.

use std::{fmt, str::FromStr};

use p2pshare_core::{
    content::ContentId,
    identity::Username,
    path::{PathError, SharePath},
};
use unicode_normalization::UnicodeNormalization;

use crate::link::ShareLink;

/// A content by its id or by a link, or files of a user by their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A content.
    Content(ContentId),
    /// A content at an index, and what its file is called.
    Link(Box<ShareLink>),
    /// A file, or everything below a folder; without a path everything that the user shares.
    Path {
        /// Whose.
        owner: Username,
        /// Which.
        path: Option<SharePath>,
    },
}

/// A text that names nothing to download.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is neither a content id (64 hex digits), USER:/PATH nor a p2pshare: link{reason}"
)]
pub struct TargetError {
    text: String,
    reason: String,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(content) = text.parse() {
            return Ok(Self::Content(content));
        }
        let wrong = |reason: String| TargetError { text: text.chars().take(200).collect(), reason };
        if ShareLink::is_meant(text) {
            let link = text.parse().map_err(|error| wrong(format!(": {error}")))?;
            return Ok(Self::Link(Box::new(link)));
        }
        let Some((owner, path)) = text.split_once(":/") else {
            return Err(wrong(meant(text)));
        };
        let owner = owner.parse().map_err(|error| wrong(format!(": {error}")))?;
        let path = match path.trim_matches('/') {
            "" => None,
            path => Some(typed_path(path).map_err(|error| wrong(format!(": {error}")))?),
        };
        Ok(Self::Path { owner, path })
    }
}

/// Reads a path as it was typed: in whatever normal form of Unicode, and with escapes such as `\u{202e}`, as they are
/// printed. No path has a backslash of its own.
pub(crate) fn typed_path(text: &str) -> Result<SharePath, PathError> {
    let mut parts = text.split("\\u{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.split_once('}').and_then(|(digits, rest)| {
            Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, rest))
        });
        match escaped {
            Some((character, rest)) => {
                plain.push(character);
                plain.push_str(rest);
            }
            None => {
                plain.push_str("\\u{");
                plain.push_str(part);
            }
        }
    }
    SharePath::parse(&plain.nfc().collect::<String>())
}

/// What a text may be meant to be that lacks a slash.
fn meant(text: &str) -> String {
    if text.starts_with("p2pshare:") {
        return "; a link goes on with the address of its index, as in p2pshare:https://…"
            .to_owned();
    }
    let meant = || {
        let (owner, path) = text.split_once(':')?;
        let (owner, path) = (owner.parse::<Username>().ok()?, SharePath::parse(path).ok()?);
        Some(Target::Path { owner, path: Some(path) })
    };
    meant().map_or(String::new(), |target| format!("; did you mean {:?}?", target.to_string()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "{content}"),
            Self::Link(link) => write!(f, "{link}"),
            Self::Path { owner, path: Some(path) } => write!(f, "{owner}:/{path}"),
            Self::Path { owner, path: None } => write!(f, "{owner}:/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_their_text() {
        let id = "ab".repeat(32);
        let link = format!("p2pshare:http://127.0.0.1:7400/{id}/a%20b.txt");
        for text in
            [id.as_str(), &link, "p2pshare:/Films", "bob:/Films/Nosferatu (1922).mkv", "bob:/"]
        {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        assert_eq!("bob:/Films/".parse::<Target>(), "bob:/Films".parse());
    }

    #[test]
    fn a_slash_that_is_missing_is_told() {
        let told = "bob:Films/x".parse::<Target>().unwrap_err().to_string();
        assert!(told.ends_with("did you mean \"bob:/Films/x\"?"), "{told}");
        let told = "what is: this".parse::<Target>().unwrap_err().to_string();
        assert!(!told.contains("did you mean"), "{told}");
        let told = "p2pshare:half-a-link".parse::<Target>().unwrap_err().to_string();
        assert!(told.ends_with("as in p2pshare:https://…"), "{told}");
    }

    #[test]
    fn paths_are_read_as_they_are_printed_and_typed() {
        let same = |typed: &str, path: &str| {
            let path = SharePath::parse(path).unwrap();
            assert_eq!(typed_path(typed), Ok(path), "{typed}");
        };
        same("e\u{301}te\u{301}", "été");
        same("rtl\\u{202e}gpj.exe", "rtl\u{202e}gpj.exe");
        same("\\u{ad}a\\u{AD}", "\u{ad}a\u{ad}");
        for wrong in ["\\u{202e", "\\u{}", "\\u{d800}", "\\u{2f}..", "\\u{5c}", "\\u{0}", "a\\b"] {
            assert!(typed_path(wrong).is_err(), "{wrong}");
        }
        let path = typed_path("a\\u{2f}b").unwrap();
        assert_eq!(path.as_str(), "a/b");
    }

    #[test]
    fn what_leaves_the_shares_is_no_target() {
        let link = format!("p2pshare:http://h/{}/..", "ab".repeat(32));
        for text in
            ["", &link, "bob", "bob:/../x", "bob:/a//b", "B o b:/a", ":/a", "bob:/a\\b", "abcd"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
