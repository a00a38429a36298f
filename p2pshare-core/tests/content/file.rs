//! Hashing files: all sizes, any number of threads, files that change, cancelling.

use std::{
    fs::File,
    io::{Seek, Write},
    num::NonZeroUsize,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use p2pshare_core::content::{
    HashError, MAX_CONTENT_LEN, Manifest, PIECE_LEN, hash_bytes, hash_file,
};

use crate::reference::{LENGTHS, content};

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn hash(
    file: &File,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Manifest, HashError> {
    hash_file(file, NonZeroUsize::new(threads), progress, &AtomicBool::new(false))
}

#[test]
fn a_file_hashes_as_its_bytes_with_any_number_of_threads() {
    for len in LENGTHS {
        let bytes = content(len);
        let expected = hash_bytes(&bytes);
        let file = file_of(&bytes);
        // No number of threads means all cores.
        for threads in [0, 1, 3, 1000] {
            let done = AtomicU64::new(0);
            let add = |bytes| {
                done.fetch_add(bytes, Ordering::Relaxed);
            };
            let manifest = hash(&file, threads, &add).unwrap();
            assert_eq!(manifest, expected, "{len}");
            assert_eq!(manifest.tail(), expected.tail());
            assert_eq!(manifest.chaining_values(), expected.chaining_values());
            assert_eq!(done.into_inner(), len);
        }
    }
}

#[test]
fn the_files_position_does_not_matter() {
    let bytes = content(PIECE_LEN + 5);
    let mut file = file_of(&bytes);
    file.seek(std::io::SeekFrom::Start(77)).unwrap();
    assert_eq!(hash(&file, 2, &|_| ()).unwrap(), hash_bytes(&bytes));
}

#[test]
fn a_file_that_gets_shorter_or_longer_is_refused() {
    for len in [10, PIECE_LEN, 3 * PIECE_LEN + 1] {
        for new_len in [0, len - 1, len + 1, len + PIECE_LEN] {
            for threads in [1, 2] {
                let file = file_of(&content(len));
                let result = hash(&file, threads, &|_| file.set_len(new_len).unwrap());
                assert!(
                    matches!(result, Err(HashError::Changed)),
                    "{len} to {new_len}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn a_file_that_is_written_to_in_place_is_refused() {
    let file = file_of(&content(2 * PIECE_LEN));
    let later = SystemTime::now() + Duration::from_secs(60);
    let result = hash(&file, 1, &|_| file.set_modified(later).unwrap());
    assert!(matches!(result, Err(HashError::Changed)), "{result:?}");
}

#[test]
fn cancelling_ends_it_soon() {
    // Sparse, and far too long to be hashed to its end in a test.
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 36).unwrap();
    for threads in [1, 4] {
        let cancel = AtomicBool::new(false);
        let done = AtomicU64::new(0);
        let progress = |bytes| {
            done.fetch_add(bytes, Ordering::Relaxed);
            cancel.store(true, Ordering::Relaxed);
        };
        let result = hash_file(&file, NonZeroUsize::new(threads), &progress, &cancel);
        assert!(matches!(result, Err(HashError::Cancelled)), "{result:?}");
        // Each thread may finish the piece that it is at, and one more that it took meanwhile.
        assert!(done.into_inner() <= 2 * threads as u64 * PIECE_LEN);
    }
    let result = hash_file(&file, None, &|_| panic!("began"), &AtomicBool::new(true));
    assert!(matches!(result, Err(HashError::Cancelled)));
}

#[test]
fn a_file_longer_than_any_content_is_refused() {
    let file = tempfile::tempfile().unwrap();
    // Some file systems have no files of this length at all.
    if file.set_len(MAX_CONTENT_LEN + 1).is_ok() {
        let result = hash(&file, 0, &|_| panic!("began"));
        assert!(matches!(result, Err(HashError::TooLong(_))), "{result:?}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_is_refused() {
    for path in ["/dev/zero", "/"] {
        let file = File::open(Path::new(path)).unwrap();
        let result = hash(&file, 0, &|_| ());
        assert!(matches!(result, Err(HashError::NotAFile)), "{path}: {result:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&path, b"x").unwrap();
    let write_only = File::options().write(true).open(&path).unwrap();
    let result = hash(&write_only, 0, &|_| ());
    assert!(matches!(result, Err(HashError::Io(_))), "{result:?}");
}
