//! The inbox's folders, and the room on its disk.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use p2pshare_core::{identity::Username, path::SharePath};

/// The place of a name in a sender's folder, whose folders are made: see [`make_folders`]. An inbox that somebody has
/// removed is made again, but not the folders in which it lies: its disk may be away. Blocks.
pub(super) fn place(root: &Path, from: &Username, name: &SharePath) -> io::Result<PathBuf> {
    make_folder(root).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => error,
        _ => io::Error::new(io::ErrorKind::NotADirectory, error),
    })?;
    let above = name.parent();
    let folders = above.iter().flat_map(SharePath::parts);
    let folder = make_folders(root, std::iter::once(from.as_str()).chain(folders))?;
    Ok(folder.join(name.file_name()))
}

/// Makes a folder that was there before, if it is gone, but not the folders in which it lies. It may be a link to one.
/// Blocks.
pub(super) fn make_again(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

/// The folder with this path below `root`, made where it is missing. Whatever else than a folder is in the way, a link to
/// a folder among it, is an error. Blocks.
pub(crate) fn make_folders<'a>(
    root: &Path,
    parts: impl Iterator<Item = &'a str>,
) -> io::Result<PathBuf> {
    let mut folder = root.to_owned();
    for part in parts {
        folder.push(part);
        make_folder(&folder)?;
    }
    Ok(folder)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if fs::symlink_metadata(folder)?.is_dir() {
        return Ok(());
    }
    let name = folder.file_name().unwrap_or(OsStr::new("/")).display();
    Err(io::Error::other(format!("{name} is a link or a file, not a folder")))
}
