//! What every command works with: where data is kept, which index, where to print.

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
    lan::Lan,
    net::PeerPool,
    publish::OwnPeer,
    session::{self, LOGIN_PATIENCE},
};

/// The index that is asked unless the user says otherwise.
const DEFAULT_INDEX: &str = "http://127.0.0.1:7400";

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
        let client = session::client_of(&session)?;
        Ok((session, client))
    }

    /// This peer at the index of the session.
    pub(crate) fn own_peer(
        &self,
        session: &SavedSession,
        client: IndexClient,
    ) -> Result<OwnPeer, CliError> {
        Ok(session::own_peer(&self.dir, session, client)?)
    }

    /// Connections to other peers, which know this one by its key unless `insecure`; with `lan` also to where they are in
    /// the local network.
    pub(crate) fn peer_pool(&self, insecure: bool, lan: Option<Lan>) -> Result<PeerPool, CliError> {
        Ok(session::peer_pool(&self.dir, insecure, lan)?)
    }
}
