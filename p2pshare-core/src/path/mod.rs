//! [`SharePath`]: the only way to name a file from the network.

mod rules;
mod sanitize;

use std::fmt::{self, Debug, Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::text::{serde_as_text, visible};

pub use rules::PartProblem;
pub use sanitize::Sanitized;

/// The name of a shared file or folder, relative to whatever it is shared from: parts with `/` between them.
///
/// One that exists is safe to join to any folder on any system. It is
/// - at most [`MAX_BYTES`](Self::MAX_BYTES) of UTF-8 in at most [`MAX_PARTS`](Self::MAX_PARTS) parts, at least one;
/// - in Unicode's normal form C, so that one name has one spelling;
/// - relative: no empty part, no `.` or `..`, nothing that some system takes for a separator;
/// - free of control characters and of whatever Windows refuses: `<>:"|?*\`, a dot or space at the end of a part, the
///   names of devices.
///
/// Each part is at most [`MAX_PART_BYTES`](Self::MAX_PART_BYTES) of UTF-8. Ordered by its bytes. A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharePath(Arc<str>);

impl SharePath {
    /// Longest path, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 4096;
    /// Longest part, in bytes of UTF-8.
    pub const MAX_PART_BYTES: usize = 255;
    /// Largest number of parts.
    pub const MAX_PARTS: usize = 64;

    /// Reads a path. Nothing is changed to make it fit: a text that breaks a rule is refused.
    ///
    /// # Errors
    /// [`PathError`] says which part breaks which rule.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(PathError::TooLong { bytes: text.len() });
        }
        if text.starts_with('/') {
            return Err(PathError::NotRelative);
        }
        let count = text.split('/').count();
        if count > Self::MAX_PARTS {
            return Err(PathError::TooDeep { parts: count });
        }
        for (index, part) in text.split('/').enumerate() {
            rules::check_part(part).map_err(|problem| PathError::Part {
                number: index + 1,
                part: part.to_owned(),
                problem,
            })?;
        }
        Ok(Self(text.into()))
    }

    /// Makes a path of its parts, none of which may hold a `/`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_parts<I>(parts: I) -> Result<Self, PathError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut text = String::new();
        for (index, part) in parts.into_iter().enumerate() {
            let part = part.as_ref();
            if part.contains('/') {
                let problem = PartProblem::Separator('/');
                return Err(PathError::Part { number: index + 1, part: part.to_owned(), problem });
            }
            if index > 0 {
                text.push('/');
            }
            text.push_str(part);
            if text.len() > Self::MAX_BYTES {
                return Err(PathError::TooLong { bytes: text.len() });
            }
        }
        Self::parse(&text)
    }

    /// Names a local file as well as the rules allow: see [`Sanitized`].
    ///
    /// # Errors
    /// When no harmless name can be made: `local` is empty or absolute, has `..` in it, or stays too long or too deep.
    pub fn sanitize(local: &Path) -> Result<Sanitized, PathError> {
        sanitize::sanitize(local)
    }

    /// The whole path, as it is displayed and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, at least one.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The last part, as a path of its own.
    pub fn last(&self) -> Self {
        // A part of a valid path is a valid path.
        Self(self.file_name().into())
    }

    /// What follows the last dot of the last part, in lower case and without the dot; `None` if there is nothing
    /// before the dot, as in `.profile`.
    pub fn extension(&self) -> Option<String> {
        let (stem, extension) = self.file_name().rsplit_once('.')?;
        (!stem.is_empty()).then(|| extension.to_lowercase())
    }

    /// The path without its last part; `None` if it has but one.
    pub fn parent(&self) -> Option<Self> {
        // The first parts of a valid path are a valid path.
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// `below`, seen from where this path is seen from.
    ///
    /// # Errors
    /// [`PathError::TooLong`] or [`PathError::TooDeep`].
    pub fn join(&self, below: &Self) -> Result<Self, PathError> {
        Self::parse(&format!("{self}/{below}"))
    }

    /// The same with `_` in place of the marks that turn the direction of writing: with one after
    /// `photo` what ends in `gpj.exe` is shown as if it ended in `exe.jpg`. For files of this machine that others name.
    #[must_use]
    pub fn without_turns(self) -> Self {
        let is_turn = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match self.0.contains(is_turn) {
            // It is no longer than before, and `_` is allowed wherever they are.
            true => Self(self.0.replace(is_turn, "_").into()),
            false => self,
        }
    }

    /// True if the first parts of this path are those of `prefix`: `a/bc` starts with `a`, not with `a/b`.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self == prefix || self.strip_prefix(prefix).is_some()
    }

    /// What remains below `prefix`; `None` if this path is not below it, or is `prefix` itself.
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        // The last parts of a valid path are a valid path.
        let rest = self.0.strip_prefix(&*prefix.0)?.strip_prefix('/')?;
        Some(Self(rest.into()))
    }

    /// The place of this path in a local folder. It is lexically inside `folder`, whatever the path; whether a link
    /// inside the folder leads out of it is for the caller to see.
    pub fn under(&self, folder: &Path) -> PathBuf {
        let mut place = folder.to_path_buf();
        place.extend(self.parts());
        place
    }
}

impl Display for SharePath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Debug for SharePath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SharePath({:?})", &*self.0)
    }
}

impl FromStr for SharePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl AsRef<str> for SharePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serde_as_text!(SharePath);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    SharePath,
    SharePath::MAX_BYTES,
    r#"^[^/\\<>:"|?*\u0000-\u001f\u007f-\u009f]+(/[^/\\<>:"|?*\u0000-\u001f\u007f-\u009f]+)*$"#,
    "Relative path of at most 64 parts with `/` between them, in Unicode normal form C. No part is empty, `.`, `..`, \
     longer than 255 bytes of UTF-8, ends in a dot or space, or is the name of a Windows device.",
    "music/Dvořák/09 Largo.flac"
);

/// Why a text is not a [`SharePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing is left to name a file by.
    #[error("the path is empty: give the name of a file or folder")]
    Empty,
    /// It starts at a root, at a drive, or climbs with `..`.
    #[error("the path is not relative: it must not start with `/` or a drive, nor contain `..`")]
    NotRelative,
    /// It is longer than [`SharePath::MAX_BYTES`].
    #[error("the path is {bytes} bytes long, at most {max} are allowed", max = SharePath::MAX_BYTES)]
    TooLong {
        /// Its length in bytes of UTF-8.
        bytes: usize,
    },
    /// It has more than [`SharePath::MAX_PARTS`] parts.
    #[error("the path has {parts} parts, at most {max} are allowed", max = SharePath::MAX_PARTS)]
    TooDeep {
        /// Its number of parts.
        parts: usize,
    },
    /// One of its parts breaks a rule.
    #[error("part {number} of the path (`{}`) {problem}", visible(part))]
    Part {
        /// Which part, counted from 1.
        number: usize,
        /// The part as it was given.
        part: String,
        /// The rule it breaks.
        problem: PartProblem,
    },
}
