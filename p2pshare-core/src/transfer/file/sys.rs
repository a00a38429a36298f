//! What is asked of the operating system. Nothing else in this module differs from system to system.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

use bytes::Bytes;

use crate::content::{Layout, PIECE_LEN, PieceIndex, PieceSet};

/// Opens a file for reading, without ever waiting for somebody at the other end of a pipe.
pub(super) fn open_shared(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        flag(rustix::fs::OFlags::NONBLOCK),
    );
    options.open(path)
}

/// Opens a part file for reading and writing, and may make it when it is not there. Does not follow a link.
pub(super) fn open_part(path: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = flag(OFlags::NOFOLLOW | OFlags::NONBLOCK);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options.open(path)
}

#[cfg(unix)]
fn flag(flags: rustix::fs::OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Reads `len` bytes from `offset` on into the empty vector; fewer only at the end of the file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, into: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<()> {
    into.clear();
    into.reserve_exact(len);
    let mut end = offset;
    while into.len() < len {
        // The spare capacity may be larger than what was reserved: what is read too much is cut off below.
        match rustix::io::pread(file, rustix::buffer::spare_capacity(into), end) {
            Ok(0) => break,
            Ok(read) => end = end.saturating_add(read as u64),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    into.truncate(len);
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn read_at(file: &File, into: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;

    into.clear();
    into.resize(len, 0);
    let mut filled = 0;
    while filled < len {
        match file.seek_read(&mut into[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    into.truncate(filled);
    Ok(())
}

/// Writes all the slices one after the other from `offset` on.
#[cfg(unix)]
pub(super) fn write_at(file: &File, slices: &[Bytes], mut offset: u64) -> io::Result<()> {
    /// Linux caches what comes in one call in blocks of memory as large as the call, and keeps free ones of up to 32 KiB
    /// at hand. A virtual machine gives larger ones back to its host and gets them again slowly: four writers of 1 GiB
    /// each took 1.9 to 2.2 CPU seconds there with this, 1.9 to 6.0 with 64 KiB, 2.3 to 2.8 with 16 KiB.
    const AT_ONCE: u64 = 32 << 10;

    let mut slices: Vec<_> = slices
        .iter()
        .filter(|slice| !slice.is_empty())
        .map(|slice| io::IoSlice::new(slice))
        .collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let room = AT_ONCE - offset % AT_ONCE;
        match rustix::io::pwritev(file, &first(left, room as usize), offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset = offset.saturating_add(written as u64);
                io::IoSlice::advance_slices(&mut left, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The first `room` bytes of the slices, or fewer if they are in more slices than one call takes.
#[cfg(unix)]
fn first<'a>(slices: &'a [io::IoSlice<'_>], mut room: usize) -> Vec<io::IoSlice<'a>> {
    /// Linux takes no more in one call.
    const MAX_SLICES: usize = 1024;

    let mut first = Vec::new();
    for slice in slices.iter().take(MAX_SLICES) {
        let slice = &slice[..slice.len().min(room)];
        first.push(io::IoSlice::new(slice));
        room -= slice.len();
        if room == 0 {
            break;
        }
    }
    first
}

#[cfg(not(unix))]
pub(super) fn write_at(file: &File, slices: &[Bytes], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;

    for slice in slices {
        let mut slice = &slice[..];
        while !slice.is_empty() {
            let written = file.seek_write(slice, offset)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            slice = &slice[written..];
            offset += written as u64;
        }
    }
    Ok(())
}

/// The pieces that are not wholly in a hole of the file. All, where the file system does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
pub(super) fn pieces_with_data(file: &File, layout: &Layout) -> PieceSet {
    use rustix::{fs::SeekFrom, fs::seek, io::Errno};

    let mut pieces = PieceSet::empty(layout.piece_count());
    let mut offset = 0;
    while offset < layout.len() {
        let data = match seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            Err(_) => return PieceSet::full(layout.piece_count()),
        };
        // It ends at `data` at the earliest, if the file changes under our hands.
        let end = seek(file, SeekFrom::Hole(data)).unwrap_or(layout.len());
        let end = end.clamp(data + 1, layout.len().max(data + 1));
        let last = (end - 1) / PIECE_LEN;
        for piece in data / PIECE_LEN..=last {
            // Beyond the content, `insert` does nothing.
            pieces.insert(PieceIndex(u32::try_from(piece).unwrap_or(u32::MAX)));
        }
        // The rest of the last piece is asked for already.
        offset = (last + 1) * PIECE_LEN;
    }
    pieces
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
pub(super) fn pieces_with_data(_: &File, layout: &Layout) -> PieceSet {
    PieceSet::full(layout.piece_count())
}

/// Whether the path names, not by a link, the file that has this metadata.
#[cfg(unix)]
pub(super) fn is_at(metadata: &Metadata, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (metadata.dev(), metadata.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
pub(super) fn is_at(_: &Metadata, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Whether the file has other names than the one it was opened by.
#[cfg(unix)]
pub(super) fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
pub(super) fn has_other_names(_: &Metadata) -> bool {
    false
}

/// Whether the file has no name any more.
#[cfg(unix)]
pub(super) fn is_removed(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) == 0
}

#[cfg(not(unix))]
pub(super) fn is_removed(_: &Metadata) -> bool {
    false
}

/// Renames a file; [`ErrorKind::AlreadyExists`] when something has the new name.
///
/// Atomic on Linux and wherever there are hard links. A file system without both leaves a gap between looking and
/// renaming in which another program may make a file of that name, which is then lost.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system, or the kernel, does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
    }
    rename_by_link(from, to)
}

fn rename_by_link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) => match fs::symlink_metadata(to) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        },
    }
}

/// Makes all that was written to the file's file system permanent; `Unsupported` where that cannot be asked for.
pub(super) fn sync_file_system(file: &File) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(rustix::fs::syncfs(file)?);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = file;
        Err(ErrorKind::Unsupported.into())
    }
}

/// The file system that a file is on.
pub(super) fn file_system(file: &File) -> io::Result<u64> {
    Ok(device(&file.metadata()?))
}

/// The file system that a path is on.
pub(super) fn file_system_of(path: &Path) -> io::Result<u64> {
    Ok(device(&fs::metadata(path)?))
}

#[cfg(unix)]
fn device(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(metadata)
}

#[cfg(not(unix))]
fn device(_: &Metadata) -> u64 {
    0
}

/// Makes the names in a folder permanent, where folders can be synced.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return match File::open(folder)?.sync_all() {
        // Some network file systems cannot, and need not.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    };
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(())
    }
}

/// Drops what the system caches of the file, so that it is read from the disk again.
pub(super) fn forget_cache(file: &File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Only advice: when it is not taken nothing can be done.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::SinkError;

    #[test]
    fn slices_beyond_the_limit_of_one_call_are_all_written() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
        let slices: Vec<_> = bytes
            .chunks(2)
            .flat_map(|chunk| [Bytes::copy_from_slice(chunk), Bytes::new()])
            .collect();
        write_at(&file, &slices, 7).unwrap();
        let mut read = Vec::new();
        read_at(&file, &mut read, 6_000, 7).unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn long_slices_are_all_written_from_any_place_on() {
        let bytes: Vec<u8> = (0..700_001_u32).map(|n| (n % 251) as u8).collect();
        for (offset, cuts) in [(0, [0, 1]), (131_071, [131_072, 400_000]), (77, [5, 262_144])] {
            let file = tempfile::tempfile().unwrap();
            let (start, rest) = bytes.split_at(cuts[0]);
            let (middle, end) = rest.split_at(cuts[1] - cuts[0]);
            let slices = [start, middle, end].map(Bytes::copy_from_slice);
            write_at(&file, &slices, offset).unwrap();
            let mut read = Vec::new();
            read_at(&file, &mut read, 800_000, offset).unwrap();
            assert!(read == bytes, "{offset}");
        }
    }

    #[test]
    fn a_hole_has_no_data_and_a_piece_with_a_byte_has() {
        let layout = Layout::new(9 * PIECE_LEN + 5).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(layout.len()).unwrap();
        let written = [2 * PIECE_LEN, 4 * PIECE_LEN + 77, 9 * PIECE_LEN + 4];
        for offset in written {
            write_at(&file, &[Bytes::from_static(b"x")], offset).unwrap();
        }
        let pieces = pieces_with_data(&file, &layout);
        for piece in [2, 4, 9] {
            assert!(pieces.contains(PieceIndex(piece)), "{piece}");
        }
        if cfg!(target_os = "linux") {
            assert!(!pieces.contains(PieceIndex(0)), "the file system here has no holes");
        }
    }

    #[test]
    fn neither_way_of_renaming_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        for rename in [rename_new, rename_by_link] {
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"old");
            fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"new");
            assert!(!from.exists());
            fs::remove_file(&to).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_as_such() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_at(&full, &[Bytes::from_static(b"x")], 0).unwrap_err();
        let error = SinkError::from_io("writing", Path::new("part"), Path::new("film"), error);
        assert!(matches!(&error, SinkError::NoSpace(path) if path == Path::new("film")));
    }
}
