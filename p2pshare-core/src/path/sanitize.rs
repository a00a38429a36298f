//! Harmless names for the files that people really have.

use std::ffi::OsStr;
use std::path::{Component, Path};

use unicode_normalization::UnicodeNormalization;

use super::rules::{check_char, is_device, is_dots};
use super::{PathError, SharePath};

/// A local file's name, made to fit the rules of a [`SharePath`].
///
/// The same local name always gives the same path, and a name that fits is left as it is. Else
/// - it is brought to normal form C;
/// - what is not UTF-8, control characters, separators and what Windows refuses become `_`, as does a dot or space at
///   the end;
/// - the name of a device gets a `_` before it;
/// - a name that is too long is cut, keeps its extension, and gets `~` and the start of its BLAKE3 hash.
///
/// Two local names can come out the same: whoever shares them must see to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// The name to share the file by.
    pub path: SharePath,
    /// True if it differs from the local name.
    pub changed: bool,
}

pub(super) fn sanitize(local: &Path) -> Result<Sanitized, PathError> {
    let mut parts = Vec::new();
    let mut changed = false;
    for component in local.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(PathError::NotRelative);
            }
        };
        let part = sanitize_part(name);
        changed |= name.to_str() != Some(part.as_str());
        parts.push(part);
    }
    Ok(Sanitized { path: SharePath::from_parts(parts)?, changed })
}

fn sanitize_part(name: &OsStr) -> String {
    let is_text = name.to_str().is_some();
    let text = name.to_string_lossy();
    let mut part: String = text
        .nfc()
        .map(|c| {
            let lost = !is_text && c == char::REPLACEMENT_CHARACTER;
            if lost || check_char(c).is_err() { '_' } else { c }
        })
        .collect();
    if is_dots(&part) || is_device(&part) {
        part.insert(0, '_');
    }
    if part.ends_with(['.', ' ']) {
        part.pop();
        part.push('_');
    }
    if part.len() > SharePath::MAX_PART_BYTES { shorten(&part) } else { part }
}

/// Cuts a part that is too long so that two long names that differ late do not become one.
fn shorten(part: &str) -> String {
    const LONGEST_EXTENSION: usize = 32;
    const HASH_DIGITS: usize = 16;

    let (stem, extension) = match part.rfind('.') {
        Some(dot) if dot > 0 && part.len() - dot <= LONGEST_EXTENSION => part.split_at(dot),
        _ => (part, ""),
    };
    let hash = blake3::hash(part.as_bytes()).to_hex();
    let room = SharePath::MAX_PART_BYTES - extension.len() - HASH_DIGITS - "~".len();
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{stem}~{}{extension}", &hash[..HASH_DIGITS])
}
