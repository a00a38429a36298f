//! What a part of a path may be.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::SharePath;
use crate::text::is_control;

/// The rule that a part of a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartProblem {
    /// Two separators follow each other, or one ends the path.
    #[error("is empty: write one `/` between two parts and none at the end")]
    Empty,
    /// It is `.` or `..`, or a system may take it for one of them.
    #[error("means a folder by its place (`.` or `..`): name the folder itself")]
    Dots,
    /// It is longer than [`SharePath::MAX_PART_BYTES`].
    #[error("is {bytes} bytes long, at most {max} are allowed", max = SharePath::MAX_PART_BYTES)]
    TooLong {
        /// Its length in bytes of UTF-8.
        bytes: usize,
    },
    /// It is not in Unicode's normal form C.
    #[error("is not in Unicode normal form C (NFC): normalize the name before it is sent")]
    NotNormalized,
    /// It holds a control character or a line separator.
    #[error("holds the control character U+{:04X}: control characters are not allowed", u32::from(*.0))]
    Control(char),
    /// It holds a separator, or a character that a system may take for one.
    #[error("holds {0:?}, which some systems take for a separator: only `/` separates parts")]
    Separator(char),
    /// It holds a character that Windows refuses.
    #[error("holds `{0}`: none of < > : \" | ? * is allowed, since Windows refuses them")]
    Forbidden(char),
    /// It ends in a dot or a space.
    #[error("ends in a dot or a space, which Windows drops: end it in another character")]
    Trailing,
    /// It is the name of a device on Windows, with or without an extension.
    #[error("is the name of a device on Windows (such as CON, NUL, COM1): choose another name")]
    Device,
}

/// Checks one part, which holds no `/`.
pub(super) fn check_part(part: &str) -> Result<(), PartProblem> {
    if part.is_empty() {
        return Err(PartProblem::Empty);
    }
    if part.len() > SharePath::MAX_PART_BYTES {
        return Err(PartProblem::TooLong { bytes: part.len() });
    }
    if is_dots(part) {
        return Err(PartProblem::Dots);
    }
    part.chars().try_for_each(check_char)?;
    if part.ends_with(['.', ' ']) {
        return Err(PartProblem::Trailing);
    }
    if is_device(part) {
        return Err(PartProblem::Device);
    }
    if !is_nfc(part) {
        return Err(PartProblem::NotNormalized);
    }
    Ok(())
}

/// Checks one character of a part.
pub(super) fn check_char(c: char) -> Result<(), PartProblem> {
    if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') {
        return Err(PartProblem::Forbidden(c));
    }
    if is_control(c) {
        return Err(PartProblem::Control(c));
    }
    // Compatibility normalization never makes a separator of several characters, so one at a time is enough.
    if std::iter::once(c).nfkd().any(|c| matches!(c, '/' | '\\')) {
        return Err(PartProblem::Separator(c));
    }
    Ok(())
}

/// True for `.` and `..`, also when written with other dots: a file system that normalizes names would make them so.
pub(super) fn is_dots(part: &str) -> bool {
    part.nfkc().all(|c| c == '.') && part.nfkc().count() <= 2
}

/// True for the name of a Windows device, which stays one whatever extension follows it, in any case, and also with
/// superscript digits (`COM¹`) or spaces before the dot.
///
/// Source: "Naming Files, Paths, and Namespaces", Windows documentation.
pub(super) fn is_device(part: &str) -> bool {
    const LONGEST: usize = "CONOUT$".len();
    let base = part.split('.').next().unwrap_or(part).trim_end_matches(' ');
    // Each character is at least one after normalization, so a longer base cannot be a device: no need to look.
    if base.chars().count() > LONGEST {
        return false;
    }
    let base: String = base.nfkc().flat_map(char::to_uppercase).collect();
    if matches!(base.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = base.strip_prefix("COM").or_else(|| base.strip_prefix("LPT"));
    port.is_some_and(|digit| digit.len() == 1 && digit.bytes().all(|b| b.is_ascii_digit()))
}
