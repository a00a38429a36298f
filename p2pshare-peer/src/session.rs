//! Sessions: how one begins and ends, and what works in its name.

use std::{sync::Arc, time::Duration};

use p2pshare_core::api::{IndexInfo, Login, ProblemKind};
use tokio::time::timeout;

use crate::{
    account::{SavedSession, SavedSessionError},
    data_dir::{DataDir, DataDirError},
    index_client::{ClientError, IndexClient},
    index_keys::IndexKeys,
    known_index::{KnownIndexes, PinError},
    net::{
        ClientLimits, ClientSecurity, Nearby, PeerConnector, PeerPool, PeerTls, PoolLimits,
        TlsError,
    },
    publish::OwnPeer,
};

/// How long a call waits for an index that does not answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a login waits: somebody sits before it and has most likely mistyped the URL.
pub const LOGIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long a logout waits until the index knows that the peer goes. It would find out by itself, later.
const GOODBYE: Duration = Duration::from_secs(10);

/// Why a session did not begin or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The index refused or cannot be reached.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// The index is not the one that is known, or seems not to be.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The session cannot be kept or read.
    #[error(transparent)]
    Saved(#[from] SavedSessionError),
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// No certificate could be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// As it is kept in the data directory.
    pub session: SavedSession,
    /// Whether its user may operate the index.
    pub operator: bool,
    /// The index that opened it.
    pub index: IndexInfo,
}

/// Logs in at the index of `client`, and keeps the session in place of the one before, which ends.
///
/// The index's keys are remembered at the first login; later ones that do not follow them are refused, unless
/// `accept_new_key` says otherwise.
pub async fn log_in(
    dir: &DataDir,
    client: &IndexClient,
    login: &Login,
    accept_new_key: bool,
) -> Result<Opened, SessionError> {
    let urls: Vec<_> = client.urls().cloned().collect();
    let opened = client.log_in(login).await?;
    let mut known = KnownIndexes::load(dir)?;
    let keys = known.pin(&urls, &opened.index, accept_new_key)?;
    known.save(dir)?;
    // The session that was there before would live on unseen.
    if let Ok(before) = SavedSession::load(dir)
        && let Ok(urls) = before.urls()
        && let Ok(old) = IndexClient::new(&urls, Duration::ZERO)
    {
        let _ = old.with_session(before.token).log_out().await;
    }
    let (index, operator) = (opened.index.clone(), opened.account.operator);
    let session = SavedSession::new(&urls, opened, keys);
    session.save(dir)?;
    Ok(Opened { session, operator, index })
}

/// Takes the peer of this data directory offline, ends the session of `client`, or `everywhere` all of its user's, and
/// forgets it. Gives how many ended; none if it had ended already. The token stays until the index has ended the session.
pub async fn log_out(
    dir: &DataDir,
    client: &IndexClient,
    everywhere: bool,
) -> Result<u64, SessionError> {
    // A peer that runs has no session to say it with, once it finds out.
    let id = dir.peer_key()?.peer_id();
    if let Ok(Err(error)) = timeout(GOODBYE, client.leave(&id)).await {
        tracing::debug!(%error, "saying goodbye failed");
    }
    let ended = match everywhere {
        true => client.log_out_everywhere().await.map(|ended| ended.ended),
        false => client.log_out().await.map(|()| 1),
    };
    let ended = match ended {
        // What the user wants is so.
        Err(error) if error.kind() == Some(ProblemKind::NotLoggedIn) => 0,
        other => other?,
    };
    SavedSession::forget(dir)?;
    Ok(ended)
}

/// A client that uses a session.
pub fn client_of(session: &SavedSession) -> Result<IndexClient, SessionError> {
    Ok(IndexClient::new(&session.urls()?, PATIENCE)?.with_session(session.token.clone()))
}

/// This peer at the index of a session.
pub fn own_peer(
    dir: &DataDir,
    session: &SavedSession,
    client: IndexClient,
) -> Result<OwnPeer, DataDirError> {
    let keys = IndexKeys::new(session, Some(dir.clone()));
    Ok(OwnPeer::new(client, session.username.clone(), keys, Arc::new(dir.peer_key()?)))
}

/// Connections to other peers, which know this one by its key unless `insecure`.
pub fn peer_pool(
    dir: &DataDir,
    insecure: bool,
    nearby: Option<impl Nearby + 'static>,
) -> Result<PeerPool, SessionError> {
    let security = match insecure {
        true => ClientSecurity::Plain,
        false => ClientSecurity::Tls(PeerTls::new(&dir.peer_key()?)?),
    };
    let mut connector = PeerConnector::new(security, ClientLimits::default());
    if let Some(nearby) = nearby {
        connector = connector.with_nearby(Arc::new(nearby));
    }
    Ok(PeerPool::new(connector, PoolLimits::default()))
}
