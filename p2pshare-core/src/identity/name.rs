//! Names of users and groups.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

use crate::text::serde_as_text;

/// Longest name, in bytes (and characters: names are ASCII).
const MAX_LEN: usize = 32;

/// Declares a type of name. All follow the one grammar of [`parse`].
macro_rules! name_type {
    ($(#[$doc:meta])* $ty:ident, $kind:literal, $example:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 32 characters of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or digit, the last not a dot. Upper
        /// case is folded to lower case when it is read, so a name has one spelling. A clone is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $ty(Arc<str>);

        impl $ty {
            /// Longest name, in characters.
            pub const MAX_LEN: usize = MAX_LEN;

            /// Reads a name.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                match parse(text) {
                    Ok(name) => Ok(Self(name)),
                    Err(problem) => Err(NameError { kind: $kind, problem }),
                }
            }

            /// The name, in lower case.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $ty {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl Display for $ty {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Debug for $ty {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($ty), self.0)
            }
        }

        impl AsRef<str> for $ty {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        serde_as_text!($ty);

        #[cfg(feature = "openapi")]
        crate::text::schema_as_text!(
            $ty,
            MAX_LEN,
            "^[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9_-])?$",
            concat!("Name of a ", $kind, ". Upper case is folded to lower case."),
            $example
        );
    };
}

name_type! {
    /// The name of a user.
    Username, "user", "alice"
}

name_type! {
    /// The name of a group of users.
    GroupName, "group", "film-club"
}

/// A text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the name of a {kind}: {problem}. Allowed are 1 to 32 characters of a-z, 0-9, `.`, `_` and `-`, \
     starting with a letter or digit, not ending in a dot"
)]
pub struct NameError {
    kind: &'static str,
    problem: NameProblem,
}

impl NameError {
    /// What is wrong with the text.
    pub fn problem(self) -> NameProblem {
        self.problem
    }
}

/// What is wrong with a text that should be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is {bytes} bytes long")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It holds a character that is not allowed.
    #[error("it holds {0:?}")]
    Character(char),
    /// It starts with something else than a letter or digit.
    #[error("it starts with `{0}`")]
    Start(char),
    /// It ends in a dot.
    #[error("it ends in a dot")]
    End,
}

/// The grammar of names: `[a-z0-9][a-z0-9._-]{0,31}`, not ending in a dot.
fn parse(text: &str) -> Result<Arc<str>, NameProblem> {
    if text.len() > MAX_LEN {
        return Err(NameProblem::TooLong { bytes: text.len() });
    }
    let Some(first) = text.chars().next() else {
        return Err(NameProblem::Empty);
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(c) = text.chars().find(|&c| !allowed(c)) {
        return Err(NameProblem::Character(c));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameProblem::Start(first));
    }
    if text.ends_with('.') {
        return Err(NameProblem::End);
    }
    Ok(text.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_allowed() {
        let longest = "a".repeat(32);
        for text in ["a", "0", "alice", "a.b_c-d", "a-", "a_", longest.as_str()] {
            assert_eq!(Username::parse(text).unwrap().as_str(), text);
            assert_eq!(GroupName::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Username::parse("ALice").unwrap().as_str(), "alice");
    }

    #[test]
    fn names_that_are_not() {
        let long = "a".repeat(33);
        for (text, problem) in [
            ("", NameProblem::Empty),
            (long.as_str(), NameProblem::TooLong { bytes: 33 }),
            ("a b", NameProblem::Character(' ')),
            ("a/b", NameProblem::Character('/')),
            ("a\0", NameProblem::Character('\0')),
            ("аlice", NameProblem::Character('а')),
            // The Kelvin sign folds to an ASCII k under Unicode rules.
            ("\u{212a}im", NameProblem::Character('\u{212a}')),
            (".a", NameProblem::Start('.')),
            ("-a", NameProblem::Start('-')),
            ("a.", NameProblem::End),
            ("..", NameProblem::Start('.')),
        ] {
            assert_eq!(Username::parse(text).unwrap_err().problem(), problem, "{text:?}");
        }
    }

    #[test]
    fn serde_goes_through_the_parser() {
        let name: Username = serde_json::from_str("\"Bob\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"bob\"");
        let error = serde_json::from_str::<GroupName>("\"no good\"").unwrap_err().to_string();
        assert!(error.contains("name of a group"), "{error}");
    }
}
