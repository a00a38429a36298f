//! Whether a file may be shared, and what state it is in.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::Path,
};

use p2pshare_core::{content::HashError, transfer::FileStamp};

use super::SkipReason;
use crate::{catalog::Apart, data_dir::is_data_dir};

/// The rules of one share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// The share's root: absolute, and no link when it was shared.
    pub(super) root: &'a Path,
    /// Follow links wherever they lead.
    pub(super) follow_links: bool,
    /// The peer's data directory, with its secrets.
    pub(super) data_dir: &'a Path,
    /// What it does not have.
    pub(super) apart: &'a Apart,
}

impl Rules<'_> {
    /// The state of a file below the root, or why it is not shared. Blocks.
    pub(super) fn inspect(&self, path: &Path) -> Result<FileStamp, SkipReason> {
        if is_unfinished(path) {
            return Err(SkipReason::Unfinished);
        }
        let metadata = fs::symlink_metadata(path).map_err(|error| failed(&error))?;
        if metadata.is_symlink() {
            return self.inspect_link(path);
        }
        // With links followed the folders above may be links too.
        let is_own = match self.follow_links {
            true => {
                let place = fs::canonicalize(path).map_err(|error| failed(&error))?;
                if self.apart.has(&place) {
                    return Err(SkipReason::Apart);
                }
                self.is_own(&place)
            }
            false => self.is_own(path),
        };
        readable(path, &metadata, stamp(&metadata, is_own)?)
    }

    fn inspect_link(&self, path: &Path) -> Result<FileStamp, SkipReason> {
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SkipReason::BrokenLink);
            }
            Err(error) => return Err(failed(&error)),
        };
        let metadata = fs::metadata(&target).map_err(|error| failed(&error))?;
        if metadata.is_dir() {
            return Err(SkipReason::LinkToFolder);
        }
        let is_inside = target.starts_with(self.root) || self.apart.is_within(&target);
        if !self.follow_links && !is_inside {
            return Err(SkipReason::LinkOutside);
        }
        if self.apart.has(&target) {
            return Err(SkipReason::Apart);
        }
        let is_own = self.is_own(&target) || target.parent().is_some_and(is_data_dir);
        readable(&target, &metadata, stamp(&metadata, is_own)?)
    }

    /// Whether a file is one of the peer's own: they lie directly in the data directory. The filter of a walk tells those
    /// of others.
    fn is_own(&self, path: &Path) -> bool {
        path.parent() == Some(self.data_dir)
    }
}

fn stamp(metadata: &Metadata, is_own: bool) -> Result<FileStamp, SkipReason> {
    if is_own {
        return Err(SkipReason::OwnData);
    }
    if !metadata.is_file() {
        return Err(SkipReason::Special);
    }
    Ok(FileStamp::of(metadata))
}

/// The state of a file, if it may be read: one that is known is not opened.
#[cfg(unix)]
fn readable(path: &Path, metadata: &Metadata, stamp: FileStamp) -> Result<FileStamp, SkipReason> {
    /// That whoever it is may read it, which needs no question.
    const BY_ALL: u32 = 0o444;

    if std::os::unix::fs::MetadataExt::mode(metadata) & BY_ALL == BY_ALL {
        return Ok(stamp);
    }
    match rustix::fs::access(path, rustix::fs::Access::READ_OK) {
        Ok(()) => Ok(stamp),
        Err(error) => Err(failed(&error.into())),
    }
}

#[cfg(not(unix))]
fn readable(_: &Path, _: &Metadata, stamp: FileStamp) -> Result<FileStamp, SkipReason> {
    Ok(stamp)
}

/// Why a file cannot be looked at.
pub(super) fn failed(error: &io::Error) -> SkipReason {
    match is_absent(error) {
        true => SkipReason::Gone,
        false => unreadable(error),
    }
}

/// Why something cannot be read that is there.
pub(super) fn unreadable(error: &io::Error) -> SkipReason {
    match is_lasting(error) {
        true => SkipReason::Unreadable(error.to_string()),
        false => SkipReason::NotNow(error.to_string()),
    }
}

/// Opens a file for reading, without waiting for the other end of a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    options.open(path)
}

/// Opens a file for reading, and nothing that is no file: opening a device may do something.
pub(crate) fn open_file(path: &Path) -> Result<File, HashError> {
    if !fs::metadata(path)?.is_file() {
        return Err(HashError::NotAFile);
    }
    let file = open(path)?;
    // Something else may have come in its place.
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(HashError::NotAFile),
    }
}

/// Whether this error says that there is nothing of the name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether this error says that something is gone, or shut, for good. Any other may pass, and says nothing of what is
/// there.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    is_absent(error) || error.kind() == io::ErrorKind::PermissionDenied || is_loop(error)
}

/// Whether a link leads to itself.
#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(not(unix))]
fn is_loop(_error: &io::Error) -> bool {
    false
}

/// Whether this is the name of a file that an unfinished download is written to: `NAME.ID.part`, where `ID` is 16 digits
/// of the content id, and its manifest beside it.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    const DIGITS: usize = 16;

    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let name = name.strip_suffix(".manifest").unwrap_or(name);
    let Some((_, digits)) = name.strip_suffix(".part").and_then(|name| name.rsplit_once('.'))
    else {
        return false;
    };
    digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_is_gone() {
        use io::ErrorKind::{NotADirectory, NotFound, Other, PermissionDenied, TimedOut};

        for (kind, is) in [
            (NotFound, true),
            (NotADirectory, true),
            (PermissionDenied, true),
            (TimedOut, false),
            (Other, false),
        ] {
            assert_eq!(is_lasting(&io::Error::from(kind)), is, "{kind}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn too_many_open_files_and_a_failing_disk_may_pass() {
        for (error, is) in [
            (rustix::io::Errno::LOOP, true),
            (rustix::io::Errno::MFILE, false),
            (rustix::io::Errno::NFILE, false),
            (rustix::io::Errno::IO, false),
        ] {
            assert_eq!(is_lasting(&io::Error::from(error)), is, "{error}");
        }
    }

    #[test]
    fn unfinished_downloads_are_told_by_their_name() {
        for (name, is) in [
            ("film.mkv.0123456789abcdef.part", true),
            ("film.mkv.0123456789abcdef.part.manifest", true),
            ("film.mkv.0123456789abcdef.part.manifest.tmp", true),
            ("film.part", false),
            ("film.mkv.0123456789abcdeg.part", false),
            ("film.mkv", false),
        ] {
            assert_eq!(is_unfinished(Path::new(name)), is, "{name}");
        }
    }
}
