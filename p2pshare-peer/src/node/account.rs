//! Registering, logging in and out, and who is logged in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use p2pshare_core::{
    api::{ChangePassword, Login, Register},
    auth::{Password, TokenHash},
    identity::Username,
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{AccountView, Node, NodeError, State, Topic};
use crate::{
    account::{SavedSession, SavedSessionError},
    data_dir::DataDir,
    index_client::{IndexClient, IndexUrl},
    lan::LanSwitch,
    net::PeerPool,
    publish::OwnPeer,
    session::{self, LOGIN_PATIENCE, SessionError},
};

/// How long a login or logout waits for the node to do what follows from it.
const SETTLE: Duration = Duration::from_secs(5);

/// A session that is used.
pub(super) struct Link {
    pub(super) session: SavedSession,
    pub(super) client: IndexClient,
    pub(super) me: OwnPeer,
    pub(super) pool: Arc<PeerPool>,
    pub(super) operator: AtomicBool,
}

impl Link {
    /// Uses a session.
    pub(super) fn new(
        dir: &DataDir,
        session: SavedSession,
        insecure: bool,
        lan: LanSwitch,
    ) -> Result<Self, SessionError> {
        let client = session::client_of(&session)?;
        let me = session::own_peer(dir, &session, client.clone())?;
        let pool = Arc::new(session::peer_pool(dir, insecure, Some(lan))?);
        Ok(Self { session, client, me, pool, operator: AtomicBool::new(false) })
    }

    /// Whether it is this session.
    pub(super) fn is(&self, other: &SavedSession) -> bool {
        self.session.token.hash() == other.token.hash()
    }

    pub(super) fn view(&self) -> AccountView {
        AccountView {
            username: self.session.username.clone(),
            index: self.session.index.clone(),
            operator: self.operator.load(Relaxed),
        }
    }
}

/// Makes an account and logs in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// URL of the index; several, separated by commas, if it runs as several servers.
    pub index: Option<String>,
    /// The name wanted.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// An invite code, where the index asks for one.
    pub invite: Option<String>,
}

/// Logs in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// URL of the index; several, separated by commas, if it runs as several servers.
    pub index: Option<String>,
    /// The user.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// Take the index's key although it is another than before.
    #[serde(default)]
    pub accept_new_key: bool,
}

impl Node {
    /// Makes an account at an index and logs in.
    pub async fn register(&self, request: RegisterRequest) -> Result<State, NodeError> {
        let _one = self.inner.signing.lock().await;
        let client = self.anonymous(request.index.as_deref())?;
        let RegisterRequest { username, password, invite, .. } = request;
        let login = Login { username: username.clone(), password: password.clone() };
        client.register(&Register { username, password, invite }).await?;
        self.open_session(&client, &login, false).await
    }

    /// Logs in, in place of whoever is logged in.
    pub async fn log_in(&self, request: LoginRequest) -> Result<State, NodeError> {
        let _one = self.inner.signing.lock().await;
        let client = self.anonymous(request.index.as_deref())?;
        let login = Login { username: request.username, password: request.password };
        self.open_session(&client, &login, request.accept_new_key).await
    }

    /// Ends the session, or all of the user's. The node goes on.
    pub async fn log_out(&self, everywhere: bool) -> Result<State, NodeError> {
        let _one = self.inner.signing.lock().await;
        let session = SavedSession::load(&self.inner.dir).map_err(SessionError::from)?;
        let client = session::client_of(&session)?;
        session::log_out(&self.inner.dir, &client, everywhere).await?;
        self.settled(None).await;
        Ok(self.state())
    }

    /// Looks now who is logged in by whatever process, and gives how the node is once it has done what follows from it.
    /// A session that has ended at the index is not taken up again.
    ///
    /// # Errors
    ///
    /// When the session that is kept cannot be read.
    pub async fn settle(&self) -> Result<State, NodeError> {
        let session = match SavedSession::load(&self.inner.dir) {
            Ok(session) => Some(session),
            Err(SavedSessionError::None) => None,
            Err(error) => return Err(SessionError::from(error).into()),
        };
        self.settled(session.as_ref()).await;
        Ok(self.state())
    }

    /// Waits until the node works in the name of this session, or of none. Nobody may be running the node, and a session
    /// may have ended: then it stays as it is.
    async fn settled(&self, session: Option<&SavedSession>) {
        self.inner.look.notify_one();
        let mut link = self.inner.link.subscribe();
        let is_so = |link: &Option<Arc<Link>>| match (link, session) {
            (Some(link), Some(session)) => link.is(session),
            (None, None) => true,
            _ => false,
        };
        let mut over = self.inner.over.subscribe();
        let has_ended = |over: &Option<TokenHash>| {
            over.is_some() && *over == session.map(|session| session.token.hash())
        };
        tokio::select! {
            _ = link.wait_for(is_so) => {}
            _ = over.wait_for(has_ended) => {}
            () = sleep(SETTLE) => {}
        }
    }

    /// Changes the password. All other sessions of the user end.
    pub async fn change_password(&self, current: Password, new: Password) -> Result<(), NodeError> {
        Ok(self.link()?.client.change_password(&ChangePassword { current, new }).await?)
    }

    async fn open_session(
        &self,
        client: &IndexClient,
        login: &Login,
        accept_new_key: bool,
    ) -> Result<State, NodeError> {
        let opened = session::log_in(&self.inner.dir, client, login, accept_new_key).await?;
        self.settled(Some(&opened.session)).await;
        if let Some(link) = self.inner.link.borrow().as_ref() {
            link.operator.store(opened.operator, Relaxed);
        }
        self.inner.changes.tell(Topic::State);
        Ok(self.state())
    }

    /// A client of the named index, or of the one that is named by default.
    fn anonymous(&self, index: Option<&str>) -> Result<IndexClient, NodeError> {
        let urls = match index.map(str::trim).filter(|index| !index.is_empty()) {
            Some(index) => index
                .split(',')
                .map(|url| url.trim().parse())
                .collect::<Result<Vec<IndexUrl>, _>>()?,
            None => self.inner.options.default_index.clone(),
        };
        Ok(IndexClient::new(&urls, LOGIN_PATIENCE)?)
    }

    /// The index of whoever is logged in, for questions and for groups and invites.
    pub fn index(&self) -> Result<IndexClient, NodeError> {
        Ok(self.link()?.client.clone())
    }

    /// Whoever is logged in.
    pub(super) fn link(&self) -> Result<Arc<Link>, NodeError> {
        self.inner.link.borrow().clone().ok_or(NodeError::LoggedOut)
    }
}
