//! What every command works with: where data is kept, which index, where to print.

use std::{sync::Arc, time::Duration};

use p2pshare_core::{api::IndexInfo, auth::IndexPublicKey};

use super::{
    args::GlobalArgs,
    config::Settings,
    exit::{CliError, Exit},
    output::Output,
};
use crate::{
    account::SavedSession,
    data_dir::DataDir,
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    known_index::{KnownIndexes, PinError},
    lan::Lan,
    net::{ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits},
    publish::OwnPeer,
};

/// The index that is asked unless the user says otherwise.
const DEFAULT_INDEX: &str = "http://127.0.0.1:7400";

/// How long a command waits for an index that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a login waits: somebody sits before it and has most likely mistyped the URL.
const LOGIN_PATIENCE: Duration = Duration::from_secs(2);

/// What to do when an index shows a strange key.
const KEY_CHANGED: &str =
    "ask the index's operator whether its key was replaced; if so, log in with --accept-new-key";

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The data directory.
    pub(crate) dir: DataDir,
    /// Where to print.
    pub(crate) output: Output,
    /// Where the options come from.
    pub(crate) settings: Settings,
    index: Vec<IndexUrl>,
}

impl Context {
    /// Resolves the options that every command takes.
    pub(crate) fn new(
        args: &GlobalArgs,
        settings: Settings,
        output: Output,
    ) -> Result<Self, CliError> {
        let path = match &args.data_dir {
            Some(path) => path.clone(),
            None => DataDir::default_path()?,
        };
        Ok(Self { dir: DataDir::open(&path)?, output, settings, index: args.index.clone() })
    }

    /// The index to register or log in at.
    pub(crate) fn index_urls(&self) -> Vec<IndexUrl> {
        if self.index.is_empty() {
            DEFAULT_INDEX.parse().into_iter().collect()
        } else {
            self.index.clone()
        }
    }

    /// A client without a session.
    pub(crate) fn anonymous_client(&self) -> Result<IndexClient, CliError> {
        Ok(IndexClient::new(&self.index_urls(), LOGIN_PATIENCE)?)
    }

    /// The saved session and a client that uses it.
    ///
    /// A session's token is sent to no other index than the one that gave it.
    pub(crate) fn session_client(&self) -> Result<(SavedSession, IndexClient), CliError> {
        let session = SavedSession::load(&self.dir)?;
        let urls = session.urls()?;
        if let Some(other) = self.index.iter().find(|url| !urls.contains(url)) {
            return Err(CliError::new(
                Exit::NotLoggedIn,
                format!("you are logged in at {}, not at {other}", session.index.join(", ")),
            )
            .hint(format!("log in there: p2pshare-peer --index {other} login USER")));
        }
        let client = IndexClient::new(&urls, PATIENCE)?.with_session(session.token.clone());
        Ok((session, client))
    }

    /// This peer at the index of the session.
    pub(crate) fn own_peer(
        &self,
        session: &SavedSession,
        client: IndexClient,
    ) -> Result<OwnPeer, CliError> {
        let keys = IndexKeys::new(session, Some(self.dir.clone()));
        Ok(OwnPeer::new(client, session.username.clone(), keys, Arc::new(self.dir.peer_key()?)))
    }

    /// Connections to other peers, which know this one by its key unless `insecure`; with `lan` also to where they are in
    /// the local network.
    pub(crate) fn peer_pool(&self, insecure: bool, lan: Option<Lan>) -> Result<PeerPool, CliError> {
        let security = if insecure {
            ClientSecurity::Plain
        } else {
            ClientSecurity::Tls(PeerTls::new(&self.dir.peer_key()?).map_err(CliError::failed)?)
        };
        let mut connector = PeerConnector::new(security, ClientLimits::default());
        if let Some(lan) = lan {
            connector = connector.with_nearby(Arc::new(lan));
        }
        Ok(PeerPool::new(connector, PoolLimits::default()))
    }

    /// Remembers the index's keys at the first login, and refuses later what does not follow them. Gives those to trust.
    pub(crate) fn pin_index_keys(
        &self,
        info: &IndexInfo,
        accept_new_key: bool,
    ) -> Result<Vec<IndexPublicKey>, CliError> {
        let mut known = KnownIndexes::load(&self.dir)?;
        let keys = known.pin(&self.index_urls(), info, accept_new_key).map_err(|error| {
            let failed = CliError::failed(&error);
            if matches!(error, PinError::Changed { .. }) {
                failed.hint(KEY_CHANGED)
            } else {
                failed
            }
        })?;
        known.save(&self.dir)?;
        Ok(keys)
    }
}
