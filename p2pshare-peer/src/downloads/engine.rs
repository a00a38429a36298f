//! What runs: attempts at downloads, so many at a time, and those that wait to be tried again.

use std::{
    collections::HashMap,
    future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::join_all;
use p2pshare_core::{
    backend::sqlite::DatabaseResult,
    swarm::Downloader,
    transfer::{KnownParts, RateLimit},
};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, DownloadId, DownloadsError, ManagerOptions,
    changes::Hub,
    clear::Clearing,
    live::{Live, Look},
    reading::Readings,
    store::{AccountId, Moved, Saved, Store},
    verdict::Reason,
    work::{Attempt, Ended, Work},
};
use crate::download::{Copies, Locator};

/// How often what runs is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);

/// The queue is looked at again so soon when its database failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(2);

/// What a manager's handles share.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) options: ManagerOptions,
    pub(super) limit: RateLimit,
    pub(super) downloader: Downloader,
    pub(super) known: KnownParts,
    pub(super) hub: Hub,
    pub(super) readings: Readings,
    /// Cancelled when the last handle is dropped.
    pub(super) stop: CancellationToken,
    /// Held by whoever starts or ends attempts.
    pub(super) control: AsyncMutex<()>,
    pub(super) clearing: Clearing,
    at_once: AtomicUsize,
    /// Of what was tried in vain and what was never tried, the former has the next turn.
    retries: AtomicBool,
    wake: Notify,
    state: Mutex<State>,
}

/// Somebody who is logged in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) account: AccountId,
    pub(super) connection: Connection,
    pub(super) locator: Arc<Locator>,
    /// What it has downloaded lately.
    pub(super) copies: Copies,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The downloads that have begun and are neither paused nor settled.
    live: HashMap<DownloadId, Live>,
}

/// A download whose next attempt is due.
#[derive(Clone, Copy)]
struct Due {
    id: DownloadId,
    /// The one before ended without anything new.
    again: bool,
}

impl Engine {
    pub(super) fn new(store: Store, options: ManagerOptions, readings: Readings) -> Self {
        Self {
            store,
            limit: RateLimit::new(options.limit),
            downloader: Downloader::default(),
            known: KnownParts::default(),
            hub: Hub::default(),
            readings,
            stop: CancellationToken::new(),
            control: AsyncMutex::new(()),
            clearing: Clearing::default(),
            at_once: AtomicUsize::new(options.at_once.get()),
            retries: AtomicBool::new(false),
            wake: Notify::new(),
            state: Mutex::default(),
            options,
        }
    }

    /// Starts what is to run, until the engine is stopped.
    pub(super) async fn drive(self: Arc<Self>) {
        let mut look_at = Instant::now();
        let mut measure_at = Instant::now();
        loop {
            if Instant::now() >= look_at {
                look_at = match self.start_due().await {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::error!(%error, "the list of downloads failed");
                        Instant::now() + AFTER_TROUBLE
                    }
                };
            }
            let measuring = async {
                match self.is_anything_running() {
                    true => sleep_until(measure_at).await,
                    false => future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.notified() => look_at = Instant::now(),
                () = sleep_until(look_at) => {}
                () = measuring => {
                    self.measure();
                    measure_at = Instant::now() + MEASURE_EVERY;
                }
            }
        }
    }

    /// Something may be startable that was not before.
    pub(super) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// A download is in another state: who follows is told, and what can run now is started.
    pub(super) fn moved(&self, id: DownloadId) {
        self.hub.changed([id]);
        self.look_again();
    }

    pub(super) fn set_at_once(&self, at_once: usize) {
        self.at_once.store(at_once, Relaxed);
        self.look_again();
    }

    pub(super) fn session(&self) -> Result<Arc<Session>, DownloadsError> {
        self.state().session.clone().ok_or(DownloadsError::LoggedOut)
    }

    /// Goes on for this session, or for nobody. Whoever calls it holds `control`.
    pub(super) async fn change_session(&self, session: Option<Session>) -> DatabaseResult<()> {
        self.state().session = None;
        self.halt_all().await;
        if let Some(session) = session {
            let begun = self.store.in_state(session.account, Saved::Running).await?;
            let mut state = self.state();
            state.live.extend(begun.into_iter().map(|id| (id, Live::new())));
            state.session = Some(Arc::new(session));
        }
        self.hub.all();
        self.look_again();
        Ok(())
    }

    /// Ends what runs of a download, and waits until it has. Whoever calls it holds `control`.
    pub(super) async fn halt(&self, id: DownloadId) {
        let running = self.state().live.get(&id).and_then(Live::running);
        if let Some((cancel, ended)) = running {
            cancel.cancel();
            closed(ended).await;
        }
        self.state().live.remove(&id);
    }

    pub(super) async fn halt_all(&self) {
        let running: Vec<_> = self.state().live.values().filter_map(Live::running).collect();
        running.iter().for_each(|(cancel, _)| cancel.cancel());
        join_all(running.into_iter().map(|(_, ended)| closed(ended))).await;
        self.state().live.clear();
    }

    /// Somebody asks for a download: one that waits is tried now.
    pub(super) fn hurry(&self, id: DownloadId) {
        self.of(id, Live::hurry);
        self.look_again();
    }

    /// The same for whoever sees that its folder is gone, if it is, and wants it made again.
    pub(super) fn resume(&self, id: DownloadId) {
        self.of(id, Live::want_folder);
        self.hurry(id);
    }

    /// The same for whoever wants all of it: why it waited is of no interest until it is known whether it still does.
    pub(super) fn try_afresh(&self, id: DownloadId) {
        self.of(id, Live::forget_reason);
        self.hurry(id);
    }

    /// The index is there again: all that wait are tried now, and what kept them may be over.
    pub(super) fn try_all_afresh(&self) {
        for live in self.state().live.values_mut() {
            live.forget_reason();
            live.hurry();
        }
        self.look_again();
    }

    fn of(&self, id: DownloadId, change: impl FnOnce(&mut Live)) {
        if let Some(live) = self.state().live.get_mut(&id) {
            change(live);
        }
    }

    pub(super) fn look(&self, id: DownloadId) -> Option<Look> {
        self.state().live.get(&id).map(Live::look)
    }

    /// All attempts that run, for who reads what they fetch.
    pub(super) fn attempts(&self) -> Vec<Arc<Attempt>> {
        self.state().live.values().filter_map(|live| live.look().attempt).collect()
    }

    /// Bytes a second of all that run.
    pub(super) fn rate(&self) -> u64 {
        self.state().live.values().map(|live| live.look().rate).sum()
    }

    /// Starts as many attempts as there is room for, and says when there may be something to start again.
    async fn start_due(self: &Arc<Self>) -> DatabaseResult<Instant> {
        let _control = self.control.lock().await;
        loop {
            let now = Instant::now();
            if self.stop.is_cancelled() {
                // Woken by those that end just now.
                return Ok(far(now));
            }
            let Ok(session) = self.session() else { return Ok(far(now)) };
            let (running, due, next) = self.state().due(now);
            if running >= self.at_once.load(Relaxed).max(1) {
                return Ok(far(now));
            }
            // What was tried in vain takes turns with what was never tried, or it could keep all places for ever.
            let first = due.filter(|due| !due.again || self.retries.fetch_xor(true, Relaxed));
            let queued = match first {
                Some(_) => None,
                None => self.store.next_queued(session.account).await?,
            };
            if let Some(id) = queued {
                let moved = self.store.shift(session.account, id, &[Saved::Queued], Saved::Running);
                if matches!(moved.await?, Moved::From(_)) {
                    self.start(session, id);
                }
                continue;
            }
            match due {
                Some(due) => self.start(session, due.id),
                None => return Ok(next.unwrap_or_else(|| far(now))),
            }
        }
    }

    fn start(self: &Arc<Self>, session: Arc<Session>, id: DownloadId) {
        let (attempt, cancel) = (Arc::new(Attempt::default()), self.stop.child_token());
        let (running, ended) = watch::channel(());
        let mut state = self.state();
        let live = state.live.entry(id).or_insert_with(Live::new);
        let (again, makes_folder) = (live.is_tried_again(), live.makes_folder());
        live.run(attempt.clone(), cancel.clone(), ended);
        drop(state);
        self.hub.changed([id]);

        let engine = self.clone();
        let work = Work { engine, session, id, again, makes_folder, attempt, cancel };
        let engine = self.clone();
        tokio::spawn(async move {
            let work = tokio::spawn(Box::pin(work.run()));
            let fault = |_| Ended::Waits(Reason::other("the program has a fault: see its log"));
            engine.note_end(id, work.await.unwrap_or_else(fault));
            drop(running);
        });
    }

    fn note_end(&self, id: DownloadId, ended: Ended) {
        let mut state = self.state();
        match (ended, state.live.get_mut(&id)) {
            (Ended::Waits(reason), Some(live)) => live.wait(reason, &self.options),
            (Ended::FolderGone(reason), Some(live)) => live.wait_for_folder(reason, &self.options),
            (Ended::Over | Ended::Stopped, _) => drop(state.live.remove(&id)),
            (Ended::Waits(_) | Ended::FolderGone(_), None) => {}
        }
        drop(state);
        self.hub.changed([id]);
        self.look_again();
    }

    fn is_anything_running(&self) -> bool {
        self.state().live.values().any(|live| live.waits_until().is_none())
    }

    fn measure(&self) {
        let now = Instant::now();
        let mut state = self.state();
        let moved = state.live.iter_mut().filter_map(|(id, live)| live.measure(now).then_some(*id));
        let moved: Vec<_> = moved.collect();
        drop(state);
        self.hub.changed(moved);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many run, which waiting one is due, and when the next one is.
    fn due(&self, now: Instant) -> (usize, Option<Due>, Option<Instant>) {
        let mut running = 0;
        let mut next: Option<(Instant, DownloadId, bool)> = None;
        for (id, live) in &self.live {
            match live.waits_until() {
                None => running += 1,
                Some(until) => {
                    let waits = (until, *id, live.is_tried_again());
                    next = Some(next.map_or(waits, |next| next.min(waits)));
                }
            }
        }
        let due = next.filter(|(until, ..)| *until <= now).map(|(_, id, again)| Due { id, again });
        (running, due, next.map(|(until, ..)| until))
    }
}

async fn closed(mut ended: watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

fn far(now: Instant) -> Instant {
    now + Duration::from_secs(3600)
}
