//! What the tests of sharing have in common.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use p2pshare_core::content::ContentId;
use p2pshare_peer::{
    catalog::{Catalog, CatalogFile},
    data_dir::DataDir,
    share::{ShareEvent, ShareEvents, ShareOptions, ShareReport, Sharer, SkipReason},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A peer's data directory, and a folder with files to share.
pub(crate) struct Setting {
    _folder: TempDir,
    pub(crate) data_dir: DataDir,
    pub(crate) files: PathBuf,
    pub(crate) sharer: Sharer,
    pub(crate) events: Recorder,
}

/// Keeps all events.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<ShareEvent>>>);

impl Setting {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let data_dir = DataDir::open(&root.join("data")).unwrap();
        let files = root.join("Music");
        fs::create_dir(&files).unwrap();
        let catalog = Catalog::open(&data_dir.catalog()).unwrap();
        let sharer = Sharer::new(catalog, &data_dir);
        Self { _folder: folder, data_dir, files, sharer, events: Recorder::default() }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        self.sharer.catalog()
    }

    /// A path beside the folder with files.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.files.with_file_name(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Shares with events told to a fresh recorder.
    pub(crate) async fn share(&mut self, path: &Path) -> ShareReport {
        self.share_with(path, &ShareOptions::default()).await
    }

    pub(crate) async fn share_with(&mut self, path: &Path, options: &ShareOptions) -> ShareReport {
        self.events = Recorder::default();
        let events = self.events.sink();
        let cancel = CancellationToken::new();
        self.sharer.share(path, options, &events, &cancel).await.unwrap()
    }

    /// Shares the folder with files.
    pub(crate) async fn share_all(&mut self) -> ShareReport {
        let files = self.files.clone();
        self.share(&files).await
    }

    /// Share paths and contents in the catalog.
    pub(crate) async fn listing(&self) -> BTreeMap<String, ContentId> {
        let files = self.all_files().await;
        files.into_iter().map(|file| (file.path.to_string(), file.content)).collect()
    }

    pub(crate) async fn all_files(&self) -> Vec<CatalogFile> {
        self.catalog().files(None, None, 1_000_000).await.unwrap()
    }
}

impl Recorder {
    pub(crate) fn sink(&self) -> ShareEvents {
        let events = self.0.clone();
        Arc::new(move |event| events.lock().unwrap().push(event))
    }

    pub(crate) fn all(&self) -> Vec<ShareEvent> {
        self.0.lock().unwrap().clone()
    }

    /// Files whose hashing began, and bytes that were hashed.
    pub(crate) fn hashed(&self) -> (usize, u64) {
        let mut hashed = (0, 0);
        for event in self.all() {
            match event {
                ShareEvent::Hashing { .. } => hashed.0 += 1,
                ShareEvent::Hashed { bytes } => hashed.1 += bytes,
                _ => {}
            }
        }
        hashed
    }

    pub(crate) fn skipped(&self) -> BTreeMap<String, SkipReason> {
        let skipped = |event| match event {
            ShareEvent::Skipped { local, reason } => {
                Some((local.file_name().unwrap().to_string_lossy().into_owned(), reason))
            }
            _ => None,
        };
        self.all().into_iter().filter_map(skipped).collect()
    }

    pub(crate) fn renamed(&self) -> Vec<String> {
        let renamed = |event| match event {
            ShareEvent::Renamed { path, .. } => Some(path.to_string()),
            _ => None,
        };
        self.all().into_iter().filter_map(renamed).collect()
    }
}
