//! What files are called for others, and other names for what would be called the same.

use p2pshare_core::path::{PathError, SharePath};

use super::local;

/// So many names are tried before giving up.
pub(crate) const MAX_NUMBER: u32 = 10_000;

/// Longest extension that is kept at the end of a name, its dot included, in bytes.
const LONGEST_EXTENSION: usize = 32;

/// `path` itself for number 1; else its last part with ` (number)` before the extension, cut where it would become too
/// long. `None` if no such name is allowed.
pub(crate) fn numbered(path: &SharePath, number: u32) -> Option<SharePath> {
    if number <= 1 {
        return Some(path.clone());
    }
    let name = path.file_name();
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= LONGEST_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    };
    let suffix = format!(" ({number}){extension}");
    let above = path.parent();
    let used = above.as_ref().map_or(0, |above| above.as_str().len() + 1);
    let room = SharePath::MAX_PART_BYTES
        .min(SharePath::MAX_BYTES.checked_sub(used)?)
        .checked_sub(suffix.len())?;
    let cut = stem.get(..stem.floor_char_boundary(room))?;
    let name = SharePath::parse(&format!("{}{suffix}", cut.trim_end())).ok()?;
    match above {
        Some(above) => above.join(&name).ok(),
        None => Some(name),
    }
}

/// The name for others of a file below a folder that they know by this name, and whether it differs from its own.
pub(crate) fn path_below(name: &SharePath, key: &[u8]) -> Result<(SharePath, bool), PathError> {
    let below = SharePath::sanitize(&local::from_key(key))?;
    Ok((name.join(&below.path)?, below.changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SharePath {
        SharePath::parse(text).unwrap()
    }

    #[test]
    fn the_number_stands_before_the_extension() {
        for (from, to) in [
            ("a.mp3", "a (2).mp3"),
            ("music/a.tar.gz", "music/a.tar (2).gz"),
            ("Music", "Music (2)"),
            (".profile", ".profile (2)"),
        ] {
            assert_eq!(numbered(&path(from), 2), Some(path(to)));
        }
        assert_eq!(numbered(&path("a"), 1), Some(path("a")));
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = path(&format!("{}.flac", "é".repeat(125)));
        let other = numbered(&long, 12).unwrap();
        assert!(other.as_str().len() <= 255 && other.as_str().ends_with(" (12).flac"), "{other}");
        let deep = path(&format!("{}z", "0123456/".repeat(60)));
        assert!(numbered(&deep, 2).is_some());
    }

    #[test]
    fn a_path_without_room_has_no_other_name() {
        let folder = "a".repeat(254);
        let deep = format!("{}{}", format!("{folder}/").repeat(16), "b".repeat(16));
        let full = path(&deep);
        assert_eq!(full.as_str().len(), SharePath::MAX_BYTES);
        assert!(numbered(&full, 2).is_some_and(|other| other.as_str().len() == 4096));
        let tight = path(&format!("{}bb", format!("{folder}/").repeat(15)).replace("bb", "b"));
        assert!(numbered(&tight, 2).is_some());
    }
}
