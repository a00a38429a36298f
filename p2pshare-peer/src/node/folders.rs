//! Folders of this machine, to pick something from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Node, NodeError, absolute, text};

/// Entries that are listed.
const MAX_LISTED: usize = 1000;

/// Entries that are looked at.
const MAX_SEEN: usize = 100_000;

/// Something in a folder. Folders come before files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderItem {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// How many bytes a file has.
    pub size: u64,
}

/// What is in a folder, without what is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderView {
    /// The folder.
    pub path: String,
    /// The folder above it.
    pub parent: Option<String>,
    /// Folders first, each in order of name.
    pub items: Vec<FolderItem>,
    /// There is more than is listed.
    pub more: bool,
}

impl Node {
    /// What is in a folder; in the user's own unless one is named, and in that of a file which is. Names that are not Unicode are left out: they could
    /// not be named back.
    pub async fn folder(&self, path: Option<&str>) -> Result<FolderView, NodeError> {
        let path = match path {
            Some(path) => absolute(path)?,
            None => match directories::UserDirs::new() {
                Some(user) => user.home_dir().to_owned(),
                None => self.inner.dir.path().to_owned(),
            },
        };
        let listed = tokio::task::spawn_blocking(move || list(&folder_of(path))).await;
        listed.map_err(|_| NodeError::Interrupted)?
    }
}

/// What is named, or the folder that a file is in. Blocks.
fn folder_of(path: PathBuf) -> PathBuf {
    match path.parent() {
        Some(folder) if path.is_file() => folder.to_owned(),
        _ => path,
    }
}

/// Blocks.
fn list(folder: &Path) -> Result<FolderView, NodeError> {
    let mut items = Vec::new();
    let mut more = false;
    let entries = fs::read_dir(folder).map_err(NodeError::io("reading", folder))?;
    for (seen, entry) in entries.enumerate() {
        if seen >= MAX_SEEN {
            more = true;
            break;
        }
        let Ok(entry) = entry else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Through a link: what it leads to counts.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') || !(metadata.is_dir() || metadata.is_file()) {
            continue;
        }
        let folder = metadata.is_dir();
        let size = if folder { 0 } else { metadata.len() };
        items.push(FolderItem { name, path: text(&entry.path()), folder, size });
    }
    items.sort_by_cached_key(|item| (!item.folder, item.name.to_lowercase(), item.name.clone()));
    more |= items.len() > MAX_LISTED;
    items.truncate(MAX_LISTED);
    Ok(FolderView { path: text(folder), parent: folder.parent().map(text), items, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_the_list_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MAX_LISTED {
            fs::write(folder.path().join(format!("{number:04}")), b"x").unwrap();
        }
        fs::create_dir(folder.path().join("z")).unwrap();
        fs::write(folder.path().join(".hidden"), b"x").unwrap();
        let view = list(folder.path()).unwrap();
        assert!(view.more);
        assert_eq!(view.items.len(), MAX_LISTED);
        assert_eq!((view.items[0].name.as_str(), view.items[0].folder), ("z", true));
        assert_eq!((view.items[1].name.as_str(), view.items[1].size), ("0000", 1));
        let file = folder.path().join("0000");
        assert!(matches!(list(&file), Err(NodeError::Io { .. })));
        assert_eq!(folder_of(file), folder.path());
        for as_it_is in [folder.path().to_owned(), folder.path().join("gone")] {
            assert_eq!(folder_of(as_it_is.clone()), as_it_is);
        }
    }
}
