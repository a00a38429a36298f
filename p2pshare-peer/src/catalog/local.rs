//! Local paths as bytes.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

/// A path below a share's root as bytes: its parts with zero bytes between them, which no name holds; nothing for the
/// root itself. Ordered as a walk that goes through each folder in the order of its names.
///
/// `None` for a path that has other parts than names, and on systems where names are no bytes for one that is not
/// Unicode.
pub(crate) fn to_key(relative: &Path) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for (index, component) in relative.components().enumerate() {
        let Component::Normal(name) = component else {
            return None;
        };
        if index > 0 {
            key.push(0);
        }
        key.extend_from_slice(name_to_bytes(name)?);
    }
    Some(key)
}

/// The path that [`to_key`] made into bytes.
pub(crate) fn from_key(key: &[u8]) -> PathBuf {
    if key.is_empty() {
        return PathBuf::new();
    }
    key.split(|byte| *byte == 0).map(name_from_bytes).collect()
}

/// The place of a file below a share's root.
pub(crate) fn place(root: &Path, key: &[u8]) -> PathBuf {
    // Joining nothing would add a separator.
    if key.is_empty() { root.to_path_buf() } else { root.join(from_key(key)) }
}

/// Whether what has this key is this place, or lies below it.
pub(crate) fn is_at_or_below(key: &[u8], place: &[u8]) -> bool {
    place.is_empty() || key.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest[0] == 0)
}

/// A whole path as bytes.
pub(crate) fn to_bytes(path: &Path) -> Option<&[u8]> {
    name_to_bytes(path.as_os_str())
}

/// The path that [`to_bytes`] made into bytes.
pub(crate) fn from_bytes(bytes: &[u8]) -> PathBuf {
    name_from_bytes(bytes)
}

#[cfg(unix)]
fn name_to_bytes(name: &OsStr) -> Option<&[u8]> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name))
}

#[cfg(unix)]
fn name_from_bytes(bytes: &[u8]) -> PathBuf {
    <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn name_to_bytes(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

#[cfg(not(unix))]
fn name_from_bytes(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_have_a_key() {
        assert_eq!(to_key(Path::new("")), Some(Vec::new()));
        assert_eq!(to_key(Path::new("a/b c")), Some(b"a\0b c".to_vec()));
        assert_eq!(to_key(Path::new("a/../b")), None);
        assert_eq!(to_key(Path::new("/a")), None);
        assert_eq!(place(Path::new("/r"), b""), Path::new("/r"));
        assert_eq!(place(Path::new("/r"), b"a\0b"), Path::new("/r/a/b"));
    }

    #[cfg(unix)]
    proptest! {
        #[test]
        fn keys_are_reversible_and_in_the_order_of_a_walk(
            a in prop::collection::vec(prop::collection::vec(1..=255_u8, 1..4), 1..4),
            b in prop::collection::vec(prop::collection::vec(1..=255_u8, 1..4), 1..4),
        ) {
            let names = |parts: &[Vec<u8>]| -> Option<PathBuf> {
                let plain = |part: &Vec<u8>| !part.contains(&b'/') && part != b"." && part != b"..";
                parts.iter().all(plain).then(|| parts.iter().map(|part| from_bytes(part)).collect())
            };
            if let (Some(path_a), Some(path_b)) = (names(&a), names(&b)) {
                let (key_a, key_b) = (to_key(&path_a).unwrap(), to_key(&path_b).unwrap());
                prop_assert_eq!(from_key(&key_a), path_a);
                prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
            }
        }
    }
}
