//! Files, their bytes, and what downloads leave behind.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use p2pshare_core::content::ContentId;

pub(crate) const MIB: usize = 1 << 20;

/// Bytes that look like noise, others for each seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What `b3sum` prints for these bytes.
pub(crate) fn b3sum(bytes: &[u8]) -> String {
    ContentId::of(bytes).to_string()
}

/// Every file below a folder, with its path relative to it; sorted. What goes meanwhile is not there.
pub(crate) fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{next:?}: {error}")) {
            let path = entry.expect("an entry").path();
            match path.symlink_metadata() {
                Ok(data) if data.is_dir() => folders.push(path),
                Ok(_) => files.push(path.strip_prefix(folder).expect("it is below").to_owned()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{path:?}: {error}"),
            }
        }
    }
    files.sort();
    files
}

/// The unfinished downloads in a folder.
pub(crate) fn parts(folder: &Path) -> Vec<PathBuf> {
    let part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
    tree(folder).into_iter().filter(part).collect()
}

#[track_caller]
pub(crate) fn assert_bytes(path: &Path, expected: &[u8]) {
    let found = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Not assert_eq: nobody wants to read megabytes.
    assert!(found == expected, "{} has other bytes than it should", path.display());
}
