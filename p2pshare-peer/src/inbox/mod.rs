//! The inbox: where contents go that others push.

mod place;
mod pushed;

use std::{
    collections::HashMap,
    fmt, fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicBool},
};

use async_trait::async_trait;
use p2pshare_core::{
    content::ContentId,
    identity::Username,
    path::SharePath,
    transfer::{
        FileSink, PieceSink, PushOffer, PushReceiver, PushTarget, SinkError, SinkOptions,
        TransferError, free_space,
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

pub(crate) use place::make_folders;
pub use pushed::Received;

use crate::{catalog::numbered, share::is_unfinished};
use pushed::{Pushed, Taken};

/// So many names are tried for a content whose own name is taken.
const MAX_NAMES: u32 = 100;

/// Told of each content that was received whole, before its sender is.
pub type OnReceived = Arc<dyn Fn(Received) + Send + Sync>;

/// What an inbox takes.
#[derive(Clone)]
pub struct InboxOptions {
    /// Largest content in bytes; 1 TiB by default.
    pub max_bytes: u64,
    /// So many bytes stay free on the inbox's disk; 256 MiB by default.
    pub reserve_bytes: u64,
    /// So many pushes at a time, 16 by default.
    pub max_pushes: usize,
    /// How files are written. Existing ones are never overwritten, whatever this says.
    pub sink: SinkOptions,
    /// Told what was received.
    pub on_received: Option<OnReceived>,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            reserve_bytes: 256 << 20,
            max_pushes: 16,
            sink: SinkOptions { threads: NonZeroUsize::new(2), ..SinkOptions::default() },
            on_received: None,
        }
    }
}

impl fmt::Debug for InboxOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxOptions")
            .field("max_bytes", &self.max_bytes)
            .field("reserve_bytes", &self.reserve_bytes)
            .field("max_pushes", &self.max_pushes)
            .finish_non_exhaustive()
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
    slots: Arc<Semaphore>,
    names: Names,
}

/// The names of pushes that run.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<(Username, SharePath), Claim>>>);

/// Who has a name.
struct Claim {
    content: ContentId,
    /// Dead until the push is open.
    push: Weak<Pushed>,
}

/// A name that nobody else gets until this is dropped.
struct Reservation {
    names: Names,
    key: (Username, SharePath),
}

impl Inbox {
    /// Takes pushes into this folder, and makes it if it is not there. Blocks.
    pub fn open(path: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        Self::open_made(path, options, fs::create_dir_all(path))
    }

    /// The same for a folder that was an inbox before. The folders in which it lies are not made: its disk may be away.
    /// Blocks.
    pub fn reopen(path: &Path, options: InboxOptions) -> Result<Self, InboxError> {
        Self::open_made(path, options, place::make_again(path))
    }

    fn open_made(
        path: &Path,
        mut options: InboxOptions,
        made: io::Result<()>,
    ) -> Result<Self, InboxError> {
        let open = || {
            made?;
            let root = path.canonicalize()?;
            // Tells now rather than at the first push that nothing can be written.
            tempfile::tempfile_in(&root)?;
            Ok(root)
        };
        let root = open().map_err(|error| InboxError { path: path.to_owned(), error })?;
        options.sink.overwrite = false;
        let slots = Arc::new(Semaphore::new(options.max_pushes.min(Semaphore::MAX_PERMITS)));
        let inner = Inner { root, options, slots, names: Names::default() };
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
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        let most = self.inner.options.max_bytes;
        match length > most {
            true => Err(TransferError::Refused(format!(
                "it has {length} bytes, this inbox takes at most {most}"
            ))),
            false => Ok(()),
        }
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        self.check_length(offer.manifest.len())?;
        let push = self.inner.accept(offer).await?;
        Ok(PushTarget { name: push.name.clone(), sink: Arc::new(Taken(push)) })
    }
}

impl Inner {
    async fn accept(&self, offer: &PushOffer) -> Result<Arc<Pushed>, TransferError> {
        let mut slot = None;
        let wanted = offer.name.clone().without_turns();
        for number in 1..=MAX_NAMES {
            let Some(name) = numbered(&wanted, number) else {
                break;
            };
            if is_unfinished(Path::new(name.file_name())) {
                // What is not complete yet has such names.
                continue;
            }
            let reservation = match self.names.reserve(offer, &name) {
                Reserved::Yes(reservation) => reservation,
                Reserved::Same(Some(push)) => return Ok(push),
                Reserved::Same(None) => return Err(pushed_already(&name)),
                Reserved::Other => continue,
            };
            let permit = match slot.take() {
                Some(permit) => permit,
                None => self.slot()?,
            };
            match self.open(offer, name, reservation, permit).await? {
                Ok(push) => return Ok(push),
                Err(permit) => slot = Some(permit),
            }
        }
        Err(TransferError::Refused(format!(
            "the inbox has too many files called {}: send it under another name",
            offer.name
        )))
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, TransferError> {
        self.slots.clone().try_acquire_owned().map_err(|_| {
            TransferError::Unavailable(format!(
                "its inbox takes {} pushes at a time, try again later",
                self.options.max_pushes
            ))
        })
    }

    /// Opens the file of this name; gives the slot back if something else has the name.
    async fn open(
        &self,
        offer: &PushOffer,
        name: SharePath,
        reservation: Reservation,
        slot: OwnedSemaphorePermit,
    ) -> Result<Result<Arc<Pushed>, OwnedSemaphorePermit>, TransferError> {
        let target = self.place(&offer.from, &name).await?;
        let options = self.options.sink.clone();
        let sink = match FileSink::open(&target, offer.manifest.clone(), options).await {
            Ok(sink) => sink,
            Err(SinkError::Exists(_) | SinkError::Special(_)) => return Ok(Err(slot)),
            Err(error) => return Err(refusal(&name, error)),
        };
        let push = Arc::new(Pushed {
            sink,
            from: offer.from.clone(),
            name,
            on_received: self.options.on_received.clone(),
            told: AtomicBool::new(false),
            reservation,
            _running: slot,
        });
        // First, so that of two offers at once at least one sees the other.
        self.names.opened(&push);
        if let Err(error) = self.check_room(&push).await {
            let is_new = push.sink.held().is_empty();
            drop(push);
            if is_new {
                // Nothing has come that could be gone on with. What is left is told by nobody, and does no harm.
                let _ = FileSink::discard(&target, &offer.manifest.id()).await;
            }
            return Err(error);
        }
        Ok(Ok(push))
    }

    async fn place(&self, from: &Username, name: &SharePath) -> Result<PathBuf, TransferError> {
        let (root, from, name) = (self.root.clone(), from.clone(), name.clone());
        let placed = spawn_blocking(move || place::place(&root, &from, &name)).await;
        placed.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(|error| {
            tracing::warn!(%error, "a pushed file has no place in the inbox");
            match error.kind() {
                io::ErrorKind::StorageFull => no_room(),
                io::ErrorKind::NotADirectory => TransferError::Unavailable(
                    "its inbox is not there at the moment, try again later".to_owned(),
                ),
                _ => TransferError::Refused(
                    "its folder cannot be made in the inbox: send it under another name".to_owned(),
                ),
            }
        })
    }

    /// Refuses what does not fit on the disk beside what all pushes that run will still write.
    async fn check_room(&self, push: &Pushed) -> Result<(), TransferError> {
        if push.missing() == 0 {
            return Ok(());
        }
        let root = self.root.clone();
        let free = spawn_blocking(move || free_space(&root)).await;
        // Where it cannot be told the disk itself decides.
        let Ok(Some(free)) = free else {
            return Ok(());
        };
        let needed = self.names.missing().saturating_add(self.options.reserve_bytes);
        if needed <= free { Ok(()) } else { Err(no_room()) }
    }
}

enum Reserved {
    Yes(Reservation),
    /// The same offer has it; `None` while it is not open yet.
    Same(Option<Arc<Pushed>>),
    /// Another content has it.
    Other,
}

impl Names {
    fn reserve(&self, offer: &PushOffer, name: &SharePath) -> Reserved {
        let key = (offer.from.clone(), name.clone());
        let content = offer.manifest.id();
        let mut claims = self.claims();
        match claims.get(&key) {
            Some(claim) if claim.content == content => Reserved::Same(claim.push.upgrade()),
            Some(_) => Reserved::Other,
            None => {
                claims.insert(key.clone(), Claim { content, push: Weak::new() });
                Reserved::Yes(Reservation { names: self.clone(), key })
            }
        }
    }

    fn opened(&self, push: &Arc<Pushed>) {
        if let Some(claim) = self.claims().get_mut(&push.reservation.key) {
            claim.push = Arc::downgrade(push);
        }
    }

    /// Bytes that all pushes that run will still write.
    fn missing(&self) -> u64 {
        let claims = self.claims();
        let pushes: Vec<_> = claims.values().filter_map(|claim| claim.push.upgrade()).collect();
        // The last handle on a push must not be dropped while the claims are locked.
        drop(claims);
        pushes.iter().map(|push| push.missing()).fold(0, u64::saturating_add)
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<(Username, SharePath), Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.names.claims().remove(&self.key);
    }
}

/// What a sender is told. Where the inbox lies is none of their business.
fn refusal(name: &SharePath, error: SinkError) -> TransferError {
    tracing::warn!(%error, "a push cannot be written");
    match error {
        SinkError::Locked(_) => pushed_already(name),
        SinkError::NoSpace(_) | SinkError::NoRoom { .. } => no_room(),
        SinkError::Io { error, .. } => TransferError::Io(Arc::new(error)),
        _ => TransferError::Refused(format!("{name} cannot be written")),
    }
}

fn pushed_already(name: &SharePath) -> TransferError {
    TransferError::Unavailable(format!("{name} is being pushed already, try again later"))
}

fn no_room() -> TransferError {
    TransferError::Refused("there is not enough room in the inbox for it".to_owned())
}
