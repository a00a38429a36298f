//! Browsing what a user shares.

use std::{collections::BTreeSet, iter::successors};

use super::State;
use crate::{
    api::{FileListing, UserFile},
    identity::Username,
    index::model::Viewer,
    path::SharePath,
};

impl State {
    /// The files that the viewer sees below a folder of a user, in order.
    pub(super) fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
    ) -> BTreeSet<UserFile> {
        self.peer_ids_of(owner)
            .iter()
            .flat_map(|peer| self.entries.of_peer(peer))
            .filter(|shared| folder.is_none_or(|folder| shared.entry.path.starts_with(folder)))
            .filter(|shared| shared.seen_by(viewer))
            .map(|shared| UserFile {
                path: shared.entry.path.clone(),
                content: shared.entry.content,
                size: shared.entry.size,
            })
            .collect()
    }

    /// What is directly in a folder: the folders, then the files, all after `after`.
    pub(super) fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
    ) -> Vec<FileListing> {
        let mut folders = BTreeSet::new();
        let mut files = BTreeSet::new();
        for file in self.user_files(viewer, owner, folder) {
            match folder_between(folder, &file.path) {
                Some(between) => folders.insert(between),
                None => files.insert(file),
            };
        }
        let folders = folders.into_iter().map(FileListing::Folder);
        let files = files.into_iter().map(FileListing::File);
        let follows = |item: &FileListing| after.is_none_or(|after| comes_after(item, after));
        folders.chain(files).filter(follows).collect()
    }
}

/// The folder directly in `folder` that holds `path`; `None` if the path is directly in it, or is `folder` itself.
fn folder_between(folder: Option<&SharePath>, path: &SharePath) -> Option<SharePath> {
    successors(path.parent(), SharePath::parent).find(|above| above.parent().as_ref() == folder)
}

fn comes_after(item: &FileListing, other: &FileListing) -> bool {
    match (item, other) {
        (FileListing::Folder(item), FileListing::Folder(other)) => item > other,
        (FileListing::File(item), FileListing::File(other)) => item > other,
        (FileListing::File(_), FileListing::Folder(_)) => true,
        (FileListing::Folder(_), FileListing::File(_)) => false,
    }
}
