//! The files of a folder as a share of it would have them, without sharing it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{StreamExt, stream, stream::BoxStream};
use p2pshare_core::path::SharePath;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Resolved, Scope, ShareError, SkipReason, interrupted, resolve,
    walk::{Step, Tree, walk},
};
use crate::catalog::{local, path_below};

/// Batches of files that are found ahead.
const AHEAD: usize = 2;

/// What a listing comes upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A file.
    File {
        /// Where it is.
        local: PathBuf,
        /// Its name for others, which begins with that of the folder.
        path: SharePath,
        /// How many bytes it has.
        size: u64,
    },
    /// Something that would not be shared.
    Skipped(PathBuf, SkipReason),
}

/// Goes through a file, or through a folder in the order of the names in it, in the background. Memory is that of some
/// thousand files; dropping the stream ends it.
///
/// # Errors
///
/// Those of sharing it: [`ShareError::NotFound`] and the like.
pub(crate) async fn list(
    path: &Path,
    data_dir: &Path,
) -> Result<BoxStream<'static, Listed>, ShareError> {
    let (given, data_dir) = (path.to_owned(), data_dir.to_owned());
    let resolved = spawn_blocking({
        let data_dir = data_dir.clone();
        move || resolve(&given, &data_dir)
    });
    let Resolved { root, name, .. } = resolved.await.unwrap_or_else(|_| Err(interrupted(path)))?;
    let tree = Tree {
        root: root.clone(),
        hidden: false,
        follow_links: false,
        is_file: None,
        apart: Arc::default(),
    };
    let (send, batches) = mpsc::channel(AHEAD);
    spawn_blocking(move || walk(&tree, &Scope::all(), &data_dir, Vec::new(), &send));
    let batches =
        stream::unfold(batches, async |mut batches| Some((batches.recv().await?, batches)));
    Ok(batches.flat_map(stream::iter).map(move |step| item(&root, &name, step)).boxed())
}

fn item(root: &Path, name: &SharePath, step: Step) -> Listed {
    let found = match step {
        Step::Found(found) => found,
        Step::Skipped(path, reason) => return Listed::Skipped(path, reason),
    };
    let local = local::place(root, &found.key);
    let path = match found.key.as_slice() {
        [] => Ok(name.clone()),
        key => path_below(name, key).map(|(path, _)| path),
    };
    match path {
        Ok(path) => Listed::File { local, path, size: found.stamp.len },
        Err(error) => Listed::Skipped(local, SkipReason::NoName(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn all(path: &Path, data_dir: &Path) -> Vec<Listed> {
        list(path, data_dir).await.unwrap().collect().await
    }

    #[tokio::test]
    async fn a_folder_is_listed_as_it_would_be_shared() {
        let folder = tempfile::tempdir().unwrap();
        let (music, data) = (folder.path().join("Music"), folder.path().join("data"));
        fs::create_dir_all(music.join("Live")).unwrap();
        fs::create_dir(&data).unwrap();
        for (name, bytes) in
            [("Live/b", "bb"), ("a", "a"), (".hidden", "x"), ("old.log", "x"), ("x.log", "x")]
        {
            fs::write(music.join(name), bytes).unwrap();
        }
        fs::write(music.join(".p2pignore"), "*.log\n").unwrap();
        let root = music.canonicalize().unwrap();
        let file = |name: &str, size| Listed::File {
            local: root.join(name),
            path: SharePath::parse(&format!("Music/{name}")).unwrap(),
            size,
        };
        assert_eq!(all(&music, &data).await, [file("Live/b", 2), file("a", 1)]);
        let only = all(&music.join("a"), &data).await;
        let name = SharePath::parse("a").unwrap();
        assert_eq!(only, [Listed::File { local: root.join("a"), path: name, size: 1 }]);
        let own = list(&data, &data).await.err();
        assert!(matches!(own, Some(ShareError::OwnData(_))), "{own:?}");
        let none = list(&folder.path().join("none"), &data).await.err();
        assert!(matches!(none, Some(ShareError::NotFound(_))), "{none:?}");
    }
}
