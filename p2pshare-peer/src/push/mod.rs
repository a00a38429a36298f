//! Uploading files to another user's running peer.

mod bundle;
mod many;
mod pace;
mod small;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use p2pshare_core::{
    api::PushGrantRequest,
    content::{HashError, Manifest, hash_file},
    identity::{PeerId, Username},
    path::{PathError, SharePath},
    transfer::{FileSource, FileStamp, ReadOptions, SharedFile, Throttled, TransferError},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use many::{PushEvent, PushEvents, PushReport, push_all};
pub use pace::Pace;

use crate::{
    index_client::ClientError,
    net::{OneGrant, PeerPool, PushProgress, PushProposal},
    publish::{AnnounceFailure, OwnPeer},
    share::{ShareError, open_file},
};

/// A file that was hashed and can be pushed.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The name that is proposed to the receiver.
    pub name: SharePath,
    /// What is in it.
    pub manifest: Manifest,
    file: SharedFile,
}

/// A push that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The peer that took it.
    pub peer: PeerId,
    /// The name under which it keeps it.
    pub name: SharePath,
}

/// Why a file was not pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It cannot be hashed.
    #[error("{} cannot be hashed: {error}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: HashError,
    },
    /// No name can be made of its own.
    #[error("{} cannot be named for others: {error}; rename it", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        #[source]
        error: PathError,
    },
    /// What is named cannot be looked through.
    #[error(transparent)]
    Listed(#[from] ShareError),
    /// The index refused or cannot be reached.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// The index does not take this peer's word.
    #[error(transparent)]
    Announce(#[from] AnnounceFailure),
    /// Nobody is there to take it.
    #[error("no peer of {0} is online")]
    NoPeer(Username),
    /// No peer of the receiver took it.
    #[error("pushing to {user} failed:{}", list(causes))]
    Failed {
        /// The receiver.
        user: Username,
        /// Each peer that was tried, and why it did not take it.
        causes: Vec<(PeerId, TransferError)>,
    },
}

impl PushError {
    /// Whether it is only that nobody who could take it is there, or answers.
    pub fn is_away(&self) -> bool {
        let is_away = |cause: &TransferError| {
            matches!(cause, TransferError::Unavailable(_) | TransferError::Stalled(_))
        };
        match self {
            Self::NoPeer(_) => true,
            Self::Failed { causes, .. } => causes.iter().all(|(_, cause)| is_away(cause)),
            _ => false,
        }
    }

    /// Whether the bytes that arrived were not those that were sent.
    pub fn is_mismatch(&self) -> bool {
        match self {
            Self::Failed { causes, .. } => {
                causes.iter().any(|(_, cause)| matches!(cause, TransferError::Mismatch(_)))
            }
            _ => false,
        }
    }
}

fn list(causes: &[(PeerId, TransferError)]) -> String {
    causes
        .iter()
        .map(|(peer, cause)| format!("\n  {}: {}", peer.short(), of_receiver(cause)))
        .collect()
}

/// The error as said of who receives: of itself it speaks of a source.
fn of_receiver(cause: &TransferError) -> String {
    match cause {
        TransferError::Refused(reason) => format!("it refuses: {reason}"),
        TransferError::Unavailable(reason) => format!("it is not available: {reason}"),
        TransferError::Stalled(time) => format!("it took nothing for {time:?}"),
        other => other.to_string(),
    }
}

/// Hashes a file with all cores, to push it. `progress` is told of each so many bytes that are hashed, from any thread.
///
/// Cancellation: dropping the future stops hashing soon.
pub async fn pack(
    path: &Path,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Parcel, PushError> {
    let name = path.file_name().map_or(path, Path::new);
    let name = SharePath::sanitize(name)
        .map_err(|error| PushError::Name { path: path.to_owned(), error })?
        .path;
    pack_as(path, name, progress).await
}

/// The same, under this name.
async fn pack_as(
    path: &Path,
    name: SharePath,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Parcel, PushError> {
    let stop = CancellationToken::new();
    let _stop_on_drop: DropGuard = stop.clone().drop_guard();
    let given = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash(given, &progress, &stop)).await;
    let interrupted =
        |error| PushError::Unreadable { path: path.to_owned(), error: io::Error::other(error) };
    let file = hashed.map_err(interrupted)??;
    Ok(Parcel { name, manifest: file.manifest.clone(), file })
}

fn hash(
    path: PathBuf,
    progress: &(dyn Fn(u64) + Sync),
    stop: &CancellationToken,
) -> Result<SharedFile, PushError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => PushError::NotFound(path.clone()),
        _ => PushError::Unreadable { path: path.clone(), error },
    };
    let file = open_file(&path).map_err(|error| match error {
        HashError::Io(error) => unreadable(error),
        error => PushError::Hash { path: path.clone(), error },
    })?;
    let stamp = FileStamp::of(&file.metadata().map_err(unreadable)?);
    let stopped = AtomicBool::new(false);
    let progress = |bytes| {
        stopped.store(stop.is_cancelled(), Relaxed);
        progress(bytes);
    };
    let manifest = hash_file(&file, None, &progress, &stopped)
        .map_err(|error| PushError::Hash { path: path.clone(), error })?;
    Ok(SharedFile { path, manifest, stamp })
}

/// Pushes a file to a user's peers that are online, to one after the other until one takes it.
/// `pace` says how fast, and where it is listed.
///
/// Cancellation: dropping the future ends it; pushing again goes on where it was.
pub async fn push(
    me: &OwnPeer,
    pool: &PeerPool,
    parcel: &Parcel,
    user: &Username,
    pace: &Pace,
    progress: &(dyn Fn(PushProgress) + Send + Sync),
) -> Result<Pushed, PushError> {
    me.make_known().await?;
    send(me, pool, parcel, user, pace, progress).await
}

/// The same, when the index knows the peer.
async fn send(
    me: &OwnPeer,
    pool: &PeerPool,
    parcel: &Parcel,
    user: &Username,
    pace: &Pace,
    progress: &(dyn Fn(PushProgress) + Send + Sync),
) -> Result<Pushed, PushError> {
    let content = parcel.manifest.id();
    let request = PushGrantRequest { user: user.clone(), content, peer: Some(me.id()) };
    let granted = me.client().push_grants(&request).await?;
    if granted.peers.is_empty() {
        return Err(PushError::NoPeer(user.clone()));
    }
    let source = FileSource::new(ReadOptions::default());
    source.insert(parcel.file.clone());
    let source = Throttled::new(source, pace.limit.clone());
    let proposal = PushProposal { name: parcel.name.clone(), manifest: parcel.manifest.clone() };
    let mut causes = Vec::new();
    for target in granted.peers {
        let peer = pool.peer(target.peer, target.addresses);
        let listed = pace.list(user, target.peer, content);
        let progress = |now| {
            listed.note(now);
            progress(now);
        };
        match peer.push(&proposal, &source, &OneGrant(target.grant), &progress).await {
            Ok(name) => return Ok(Pushed { peer: target.peer, name }),
            Err(error) => causes.push((target.peer, error)),
        }
    }
    Err(PushError::Failed { user: user.clone(), causes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_packed_with_its_own_name_and_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a name.txt");
        std::fs::write(&path, b"hello").unwrap();
        let parcel = pack(&path, |_| ()).await.unwrap();
        assert_eq!(parcel.name.as_str(), "a name.txt");
        assert_eq!(parcel.manifest.id(), p2pshare_core::content::ContentId::of(b"hello"));
        let missing = pack(&folder.path().join("none"), |_| ()).await;
        assert!(matches!(missing, Err(PushError::NotFound(_))));
        let directory = pack(folder.path(), |_| ()).await;
        assert!(matches!(directory, Err(PushError::Hash { .. })));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_no_file_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        let refused = pack(&pipe, |_| ()).await;
        assert!(matches!(refused, Err(PushError::Hash { error: HashError::NotAFile, .. })));
    }
}
