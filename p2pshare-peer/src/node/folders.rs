//! Folders of this machine, to pick something from.

use std::{fs, path::Path};

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
    /// The file that was named, if it is in the folder.
    pub file: Option<String>,
}

impl Node {
    /// What is in a folder, or in that of a file; in the user's own unless one is named. Names that are not Unicode are
    /// left out: they could not be named back.
    pub async fn folder(&self, path: Option<&str>) -> Result<FolderView, NodeError> {
        let path = match path {
            Some(path) => absolute(path)?,
            None => match directories::UserDirs::new() {
                Some(user) => user.home_dir().to_owned(),
                None => self.inner.dir.path().to_owned(),
            },
        };
        let listed = tokio::task::spawn_blocking(move || list(&path)).await;
        listed.map_err(|_| NodeError::Interrupted)?
    }
}

/// Blocks.
fn list(named: &Path) -> Result<FolderView, NodeError> {
    let is_file = fs::metadata(named).is_ok_and(|metadata| metadata.is_file());
    let folder = named.parent().filter(|_| is_file).unwrap_or(named);
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
    Ok(FolderView {
        path: text(folder),
        parent: folder.parent().map(text),
        items,
        more,
        file: is_file.then(|| text(named)),
    })
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
        assert_eq!(view.file, None);
        let file = folder.path().join("0000");
        let beside = list(&file).unwrap();
        assert_eq!((beside.path, beside.file), (view.path, Some(text(&file))));
        assert!(matches!(list(&file.join("x")), Err(NodeError::Io { .. })));
    }
}
