//! The inbox: where contents go that others push.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fmt, fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use bytes::Bytes;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceIndex, PieceSet},
    identity::Username,
    path::SharePath,
    transfer::{
        FileSink, PieceSink, PushOffer, PushReceiver, PushTarget, SinkError, SinkOptions,
        TransferError,
    },
};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::catalog::numbered;

/// So many names are tried for a content whose own name is taken.
const MAX_NAMES: u32 = 100;

/// What an inbox takes.
#[derive(Clone, Debug)]
pub struct InboxOptions {
    /// Largest content in bytes; 1 TiB by default.
    pub max_bytes: u64,
    /// So many bytes stay free on the inbox's disk; 256 MiB by default.
    pub reserve_bytes: u64,
    /// So many pushes at a time, 16 by default.
    pub max_pushes: usize,
    /// How files are written. Existing ones are never overwritten, whatever this says.
    pub sink: SinkOptions,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            reserve_bytes: 256 << 20,
            max_pushes: 16,
            sink: SinkOptions { threads: NonZeroUsize::new(2), ..SinkOptions::default() },
        }
    }
}

/// Why a folder cannot be an inbox.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used as inbox: {error}; give a folder that can be written to", path.display())]
pub struct InboxError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

/// Takes contents that others push into a folder: `INBOX/SENDER/NAME`.
///
/// - Nothing is written outside of the folder, and links inside it are not followed; the folder itself may be a link.
/// - Nothing is overwritten: if something else has the name, it gets a number, as in `NAME (2)`. If the same content is
///   there already, nothing of it is wanted.
/// - A push that was interrupted goes on where it was when it is offered again.
///
/// A clone is the same inbox.
#[derive(Clone)]
pub struct Inbox {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    options: InboxOptions,
    /// Pushes that run. Held while an offer is looked at, so that two offers never take the same name or room.
    running: Mutex<HashMap<(Username, SharePath, ContentId), Weak<Pushed>>>,
}

impl Inbox {
    /// Takes pushes into this folder, and makes it if it is not there. Blocks.
    pub fn open(path: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        let open = || {
            fs::create_dir_all(path)?;
            let root = path.canonicalize()?;
            // Tells now rather than at the first push that nothing can be written.
            tempfile::tempfile_in(&root)?;
            Ok(root)
        };
        let root = open().map_err(|error| InboxError { path: path.to_owned(), error })?;
        let mut options = options;
        options.sink.overwrite = false;
        let inner = Inner { root, options, running: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

#[async_trait]
impl PushReceiver for Inbox {
    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        let Inner { options, running, .. } = &*self.inner;
        let len = offer.manifest.len();
        if len > options.max_bytes {
            return Err(TransferError::Refused(format!(
                "{} has {len} bytes, this inbox takes at most {}",
                offer.name, options.max_bytes
            )));
        }
        let key = (offer.from.clone(), offer.name.clone(), offer.manifest.id());
        let mut running = running.lock().await;
        running.retain(|_, push| push.strong_count() > 0);
        if let Some(push) = running.get(&key).and_then(Weak::upgrade) {
            return Ok(PushTarget { name: push.name.clone(), sink: push });
        }
        if running.len() >= options.max_pushes {
            return Err(TransferError::Unavailable(format!(
                "its inbox takes {} pushes at a time, try again later",
                options.max_pushes
            )));
        }
        let others = running.values().filter_map(Weak::upgrade).map(|push| push.missing());
        let promised = others.fold(0, u64::saturating_add);
        let push = Arc::new(self.inner.open(offer, promised).await?);
        running.insert(key, Arc::downgrade(&push));
        Ok(PushTarget { name: push.name.clone(), sink: push })
    }
}

impl Inner {
    /// Opens the file that the content goes to: the first of its possible names that is not something else's.
    async fn open(&self, offer: &PushOffer, promised: u64) -> Result<Pushed, TransferError> {
        let name = &offer.name;
        for number in 1..=MAX_NAMES {
            let Some(name) = numbered(name, number) else {
                break;
            };
            let target = self.place(&offer.from, &name).await?;
            let manifest = offer.manifest.clone();
            match FileSink::open(&target, manifest, self.options.sink.clone()).await {
                Ok(sink) => {
                    let push = Pushed { sink, name };
                    self.check_room(push.missing(), promised).await?;
                    return Ok(push);
                }
                Err(SinkError::Exists(_)) => {}
                Err(error) => return Err(refusal(&name, error)),
            }
        }
        Err(TransferError::Refused(format!(
            "the inbox has too many files called {name}: send it under another name"
        )))
    }

    /// The place of a name in the sender's folder; its folders are made, and none of them is a link.
    async fn place(&self, from: &Username, name: &SharePath) -> Result<PathBuf, TransferError> {
        let (root, from, name) = (self.root.clone(), from.clone(), name.clone());
        let prepared = spawn_blocking(move || {
            let mut folder = root;
            let above = name.parent();
            let folders = above.iter().flat_map(SharePath::parts);
            for part in std::iter::once(from.as_str()).chain(folders) {
                folder.push(part);
                make_folder(&folder)?;
            }
            Ok(folder.join(name.file_name()))
        });
        let interrupted = |_| Err(io::Error::from(io::ErrorKind::Interrupted));
        prepared.await.unwrap_or_else(interrupted).map_err(|error: io::Error| {
            tracing::warn!(%error, "a pushed file has no place in the inbox");
            TransferError::Refused(
                "its folder cannot be made in the inbox: send it under another name".to_owned(),
            )
        })
    }

    /// Refuses what does not fit on the disk beside what other pushes will still write.
    async fn check_room(&self, missing: u64, promised: u64) -> Result<(), TransferError> {
        let root = self.root.clone();
        let free = spawn_blocking(move || free_bytes(&root)).await;
        // Where it cannot be told the disk itself decides.
        let Ok(Some(free)) = free else {
            return Ok(());
        };
        let needed = missing.saturating_add(promised).saturating_add(self.options.reserve_bytes);
        if missing == 0 || needed <= free {
            return Ok(());
        }
        Err(TransferError::Refused("there is not enough room in the inbox for it".to_owned()))
    }
}

/// Makes a folder that is not there. Whatever else is there, a link to a folder among it, is an error.
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

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let state = rustix::fs::statvfs(folder).ok()?;
    Some(state.f_bavail.saturating_mul(state.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// What a sender is told. Where the inbox lies is none of their business.
fn refusal(name: &SharePath, error: SinkError) -> TransferError {
    tracing::warn!(%error, "a push cannot be written");
    match error {
        SinkError::Locked(_) => {
            TransferError::Unavailable(format!("{name} is being pushed already, try again later"))
        }
        SinkError::NoSpace(_) => {
            TransferError::Refused("there is not enough room in the inbox for it".to_owned())
        }
        SinkError::Io { error, .. } => TransferError::Io(Arc::new(error)),
        error => TransferError::Refused(format!("{name} cannot be written: {error}")),
    }
}

/// A push that runs. Its name is free for others when it is dropped.
struct Pushed {
    sink: FileSink,
    name: SharePath,
}

impl Pushed {
    /// Bytes that are still to come, at most.
    fn missing(&self) -> u64 {
        let layout = self.sink.manifest().layout();
        self.sink.held().missing_runs().map(|run| layout.run_len(run)).sum()
    }
}

#[async_trait]
impl PieceSink for Pushed {
    fn manifest(&self) -> &Manifest {
        self.sink.manifest()
    }

    fn held(&self) -> PieceSet {
        self.sink.held()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        self.sink.put(piece, data).await
    }

    async fn finish(&self) -> Result<(), SinkError> {
        self.sink.finish().await
    }
}
