//! What `get` is asked for: targets, or words to search for.

use std::str::FromStr;

use crate::download::{Target, TargetError};

/// One argument of `get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It names what to download.
    Target(Target),
    /// It names nothing: a word to search for.
    Word {
        /// The word.
        word: String,
        /// Why it is no target.
        error: TargetError,
    },
}

impl FromStr for Asked {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(target) => Ok(Self::Target(target)),
            // What has a colon means to be a path or a link.
            Err(error) if text.is_empty() || text.contains(':') => Err(error),
            Err(error) => Ok(Self::Word { word: text.to_owned(), error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_targets_and_from_mistakes() {
        let id = "ab".repeat(32);
        for text in [&id, "bob:/Films", "bob:/"] {
            assert!(matches!(text.parse(), Ok(Asked::Target(_))), "{text}");
        }
        for text in ["blue", "Blue Train", &id[1..], "été"] {
            assert!(matches!(text.parse(), Ok(Asked::Word { .. })), "{text}");
        }
        for text in ["", "bob:/../x", ":/a", "p2pshare:http://h/x/y", "bob:films"] {
            assert!(text.parse::<Asked>().is_err(), "{text}");
        }
    }
}
