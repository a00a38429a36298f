//! Running: a daemon while somebody is logged in, and waiting for a login otherwise.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use p2pshare_core::{
    auth::TokenHash,
    text::visible,
    time::{Clock, SystemClock},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Node, NodeError, Topic, account::Link, state::Live};
use crate::{
    account::{SavedSession, SavedSessionError},
    catalog::CatalogError,
    daemon::{Daemon, DaemonError, DaemonEvent, DaemonEvents, FolderShares, ServeOptions},
    download::Serving,
    downloads::Connection,
    lan::{Lan, LanOptions},
    session::SessionError,
};

/// How often it is looked whether another process has logged in or out.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a failure it is tried again so soon.
const TRY_AGAIN: Duration = Duration::from_secs(15);

impl Node {
    /// Runs until `stop` is cancelled. With `stay` it waits for a login while nobody is logged in; without, that ends it.
    ///
    /// `events` are those of the daemon, each time that one runs.
    ///
    /// Once for each node that was opened: when it ends, downloads, scans and pushes end too, and none begins any more.
    /// After that the data directory can be [opened](Self::open) again.
    ///
    /// Cancellation: dropping the future, instead of cancelling `stop`, cuts off whoever is served and tells the index no
    /// goodbye. What runs in the background goes on: scans and pushes to their end, downloads until the last handle on the
    /// node is dropped.
    ///
    /// # Errors
    ///
    /// [`NodeError::RunTwice`] when it runs already, or has run. [`NodeError::Daemon`] and others when the first daemon does
    /// not start; what fails later is told as trouble, and tried again. Without `stay`: [`NodeError::Session`] when nobody is
    /// logged in, [`DaemonError::LoggedOut`] once that is so.
    pub async fn run(
        &self,
        stay: bool,
        events: DaemonEvents,
        stop: CancellationToken,
    ) -> Result<(), NodeError> {
        if self.inner.ran.swap(true, Relaxed) {
            return Err(NodeError::RunTwice);
        }
        self.inner.inbox.tell(events.clone());
        if let Some(open) = self.open_inbox().await {
            self.inner.changes.warn(visible(&open).to_string());
            events(DaemonEvent::Trouble(open));
        }
        let follow = self.follow_catalog();
        let work = self.sessions(stay, events, &stop);
        let done = tokio::select! {
            done = Box::pin(work) => done,
            () = follow => unreachable!("it never ends"),
        };
        self.close().await;
        done
    }

    /// Ends what runs in the background; downloads go on when the node is opened again.
    async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.downloads.close().await;
    }

    async fn sessions(
        &self,
        stay: bool,
        events: DaemonEvents,
        stop: &CancellationToken,
    ) -> Result<(), NodeError> {
        let mut first = true;
        // What keeps a session offline is said once, though it is tried again and again.
        let mut told = None;
        let online = Arc::new(AtomicBool::new(false));
        let events: DaemonEvents = {
            let online = online.clone();
            Arc::new(move |event| {
                if matches!(event, DaemonEvent::Ready { .. } | DaemonEvent::Online) {
                    online.store(true, Relaxed);
                }
                events(event);
            })
        };
        while !stop.is_cancelled() {
            let session = match SavedSession::load(&self.inner.dir) {
                Ok(session) => Some(session),
                Err(SavedSessionError::None) if stay => None,
                Err(error) if stay && !first => {
                    self.trouble(&error);
                    None
                }
                Err(error) => return Err(SessionError::from(error).into()),
            };
            let hash = session.as_ref().map(|session| session.token.hash());
            match session {
                Some(session) if *self.inner.over.borrow() != hash => {
                    let done = Box::pin(self.one_session(session, &events, stop)).await;
                    let logged_out = matches!(done, Err(NodeError::Daemon(DaemonError::LoggedOut)));
                    match done {
                        Ok(()) => {}
                        Err(error) if !stay || (first && !logged_out) => return Err(error),
                        Err(error) => {
                            // Why a session is over was told when it ended.
                            if !logged_out {
                                self.trouble(&error);
                            }
                            let was_online = online.swap(false, Relaxed);
                            if !logged_out && (was_online || told != hash) {
                                events(DaemonEvent::Offline(error.to_string()));
                                told = hash;
                            }
                            if logged_out {
                                if !self.is_replaced(hash) {
                                    events(DaemonEvent::LoggedOut);
                                }
                                self.inner.over.send_replace(hash);
                            } else {
                                self.pause(stop, hash).await;
                            }
                        }
                    }
                }
                _ => {
                    stop.run_until_cancelled(self.other_than(hash)).await;
                }
            }
            first = false;
        }
        Ok(())
    }

    /// Serves and downloads in the name of a session, until `stop` is cancelled or another session takes its place.
    async fn one_session(
        &self,
        session: SavedSession,
        events: &DaemonEvents,
        stop: &CancellationToken,
    ) -> Result<(), NodeError> {
        let inner = &self.inner;
        let hash = session.token.hash();
        let insecure = inner.options.insecure;
        let link = Arc::new(Link::new(&inner.dir, session, insecure, inner.lan.clone())?);
        let serving = Serving { sources: inner.partial.clone(), peer: link.me.id() };
        let connection =
            Connection { me: link.me.clone(), pool: link.pool.clone(), serving: Some(serving) };
        inner.downloads.connect(Some(connection)).await?;
        inner.link.send_replace(Some(link.clone()));
        self.turn_lan();
        // What was wrong is so until the peer is online.
        self.live(|live| *live = Live { trouble: live.trouble.take(), ..Live::default() });

        let until = stop.child_token();
        let changed = async {
            self.other_than(Some(hash)).await;
            // From now on nobody acts in its name.
            self.inner.link.send_replace(None);
            self.inner.changes.tell(Topic::State);
            until.cancel();
            pending::<()>().await;
        };
        let done = tokio::select! {
            done = Box::pin(self.serve(&link, events, &until)) => done,
            () = changed => Ok(()),
        };
        let is_over = matches!(done, Err(NodeError::Daemon(DaemonError::LoggedOut)));
        let is_over = is_over && self.is_kept();
        let trouble = is_over.then(|| DaemonError::LoggedOut.to_string());
        let ended = is_over.then(|| why_over(&link.session));
        inner.link.send_replace(None);
        self.live(|live| *live = Live { trouble, ended, ..Live::default() });
        self.turn_lan();
        inner.downloads.connect(None).await?;
        done?;
        match until.is_cancelled() && !stop.is_cancelled() {
            // The session that was served is over, whoever ended it.
            true => Err(DaemonError::LoggedOut.into()),
            false => Ok(()),
        }
    }

    async fn serve(
        &self,
        link: &Arc<Link>,
        events: &DaemonEvents,
        until: &CancellationToken,
    ) -> Result<(), NodeError> {
        let inner = &self.inner;
        let daemon = Daemon {
            peer: link.me.clone(),
            shared: Arc::new(FolderShares::new(inner.catalog.clone(), inner.sharer.clone())),
            partial: inner.partial.clone(),
        };
        let options = ServeOptions {
            listen: inner.options.listen,
            advertise: inner.options.advertise.clone(),
            port_mapping: inner.options.port_mapping,
            receiver: Some(inner.inbox.clone()),
            upload_slots: inner.slots.clone(),
            slots_for: inner.options.slots_for.clone(),
            upload_limit: inner.upload_limit.clone(),
            insecure: inner.options.insecure,
            limits: inner.options.limits.clone(),
            uploads: inner.uploads.clone(),
            lan: Some(inner.lan.clone()),
            metrics: inner.options.metrics.clone(),
        };
        let (node, events) = (self.clone(), events.clone());
        let about = link.clone();
        let told = Arc::new(move |event: DaemonEvent| {
            node.note(&event);
            if matches!(event, DaemonEvent::Online) {
                node.inner.downloads.try_again();
            }
            if matches!(event, DaemonEvent::Ready { .. } | DaemonEvent::Online) {
                node.learn_operator(about.clone());
            }
            events(event);
        });
        Ok(daemon.run(options, told, until.clone()).await?)
    }

    /// Turns the local network on if it is to be used, and off if not: while nobody is logged in there is nothing to say,
    /// nor has a peer that listens on loopback alone, or without TLS. Must be called in a runtime.
    pub(super) fn turn_lan(&self) {
        let (inner, options) = (&self.inner, &self.inner.options);
        inner.lan.turn(|| {
            let is_wanted = inner.settings.current().lan && inner.link.borrow().is_some();
            if !is_wanted || options.insecure || options.listen.ip().is_loopback() {
                return None;
            }
            Lan::start(LanOptions::default())
                .inspect_err(|error| tracing::warn!(%error, "the local network is not used"))
                .ok()
        });
    }

    /// Asks the index whether the user may operate it.
    fn learn_operator(&self, link: Arc<Link>) {
        let node = self.clone();
        self.spawn(async move {
            if let Ok(account) = link.client.me().await
                && account.operator != link.operator.swap(account.operator, Relaxed)
            {
                node.inner.changes.tell(Topic::State);
            }
        });
    }

    /// Waits until another session than that with this token is kept, or none.
    async fn other_than(&self, token: Option<TokenHash>) {
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = self.inner.look.notified() => {}
            }
            let dir = self.inner.dir.clone();
            let load = tokio::task::spawn_blocking(move || SavedSession::load(&dir));
            match load.await {
                Ok(Ok(session)) if Some(session.token.hash()) != token => return,
                Ok(Err(SavedSessionError::None)) if token.is_some() => return,
                // What cannot be read may be in a moment.
                _ => {}
            }
        }
    }

    /// Waits for a while, or for another session.
    async fn pause(&self, stop: &CancellationToken, token: Option<TokenHash>) {
        let wait = async {
            tokio::select! {
                () = sleep(TRY_AGAIN) => {}
                () = self.other_than(token) => {}
            }
        };
        stop.run_until_cancelled(wait).await;
    }

    /// Tells when another process changes what is shared, for ever: what fails is tried again.
    pub(super) async fn follow_catalog(&self) {
        loop {
            let Err(error) = self.tell_catalog().await;
            tracing::warn!(%error, "changes of the catalog are not noticed for now");
            sleep(TRY_AGAIN).await;
        }
    }

    async fn tell_catalog(&self) -> Result<Infallible, CatalogError> {
        let mut changes = self.inner.catalog.changes().await?;
        loop {
            // At first of what may have changed while nobody looked.
            self.inner.changes.tell(Topic::Shares);
            changes.changed().await?;
        }
    }

    /// Whether there is another session than that with this token.
    fn is_replaced(&self, token: Option<TokenHash>) -> bool {
        SavedSession::load(&self.inner.dir).is_ok_and(|session| Some(session.token.hash()) != token)
    }

    /// Whether there is a session, of whatever worth: nobody has logged out here.
    fn is_kept(&self) -> bool {
        !matches!(SavedSession::load(&self.inner.dir), Err(SavedSessionError::None))
    }

    fn trouble(&self, error: &dyn std::error::Error) {
        tracing::warn!(%error, "the peer is not online");
        let error = error.to_string();
        self.live(|live| live.trouble = Some(error));
    }
}

/// Why a session that nobody has ended here is over, as far as that can be known: the index says only that it is.
fn why_over(session: &SavedSession) -> String {
    let user = &session.username;
    match session.expires_at <= SystemClock.now() {
        true => format!(
            "the session of {user} is over: it was not used for too long, or was ended elsewhere; log in again"
        ),
        false => format!(
            "the index has ended the session of {user}: with a new password, with a logout everywhere, or by an operator, \
             who may have disabled the account; log in again"
        ),
    }
}
