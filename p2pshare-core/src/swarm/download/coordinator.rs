//! The task that runs a download.

use std::{collections::HashMap, future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Standing},
    roster::Roster,
    worker::{End, work},
};
use crate::{
    swarm::{
        Candidate, Discovery, DiscoveryError, DownloadError, Report, SourceId, SourceReport,
        cursor::CursorsView,
    },
    time::later,
    transfer::TransferError,
};

/// A look for sources that takes longer has failed.
const DISCOVERY_PATIENCE: Duration = Duration::from_secs(30);

/// While nobody delivers, sources are looked for at least so often.
const ANXIOUS_REFRESH: Duration = Duration::from_secs(3);

/// Sources are looked for no more often than this.
const LEAST_REFRESH: Duration = Duration::from_millis(100);

/// A source that has had nothing that is missing for so long makes room for one that waits.
const IDLE: Duration = Duration::from_secs(10);

/// How often the state of things is looked at, even if nothing happens.
const TICK: Duration = Duration::from_millis(250);

pub(super) struct Coordinator {
    board: Arc<Board>,
    discovery: Arc<dyn Discovery>,
    roster: Roster,
    workers: JoinSet<(SourceId, End)>,
    /// What tells a worker to let its source rest, for all that run.
    dismissals: HashMap<SourceId, CancellationToken>,
    failures: mpsc::UnboundedReceiver<(SourceId, TransferError)>,
    failures_sender: mpsc::UnboundedSender<(SourceId, TransferError)>,
    search: Option<BoxFuture<'static, Result<Vec<Candidate>, DiscoveryError>>>,
    searched_at: Instant,
    search_failure: Option<DiscoveryError>,
    /// How many looks for sources have ended.
    searches: u32,
    cursors: CursorsView,
}

impl Coordinator {
    pub(super) fn new(board: Arc<Board>, discovery: Arc<dyn Discovery>) -> Self {
        let (failures_sender, failures) = mpsc::unbounded_channel();
        Self {
            cursors: board.options.cursors.view(),
            searched_at: board.started,
            board,
            discovery,
            roster: Roster::default(),
            workers: JoinSet::new(),
            dismissals: HashMap::new(),
            failures,
            failures_sender,
            search: None,
            search_failure: None,
            searches: 0,
        }
    }

    /// Runs to the end, or until it is cancelled. Dropping the future ends all workers.
    pub(super) async fn run(mut self, cancel: &CancellationToken) -> Result<Report, DownloadError> {
        let result = cancel.run_until_cancelled(self.drive()).await;
        // When this returns no task uses the sink any more; only a write that has begun may still end. What workers
        // hold at a good end came twice, so it does not matter what becomes of it.
        self.workers.shutdown().await;
        for id in self.dismissals.keys() {
            self.board.leave(*id);
        }
        result.unwrap_or(Err(DownloadError::Cancelled))
    }

    async fn drive(&mut self) -> Result<Report, DownloadError> {
        if !self.board.is_done() {
            self.start_search();
            self.board.want(&self.cursors.windows());
        }
        while !self.board.is_done() {
            self.start_workers();
            if let Some(error) = self.hopeless() {
                return Err(error);
            }
            self.step().await?;
        }
        self.take_failures();
        self.board.sink.finish().await?;
        Ok(self.report())
    }

    /// Waits for the next thing that happens.
    async fn step(&mut self) -> Result<(), DownloadError> {
        let board = self.board.clone();
        let refresh = later(self.searched_at, self.refresh_interval());
        let searching = self.search.is_some();
        let search = async {
            match &mut self.search {
                Some(search) => search.await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            found = search => self.take_found(found),
            Some(joined) = self.workers.join_next(), if !self.workers.is_empty() => {
                if let Ok((id, end)) = joined {
                    self.take_end(id, end)?;
                }
            }
            Some((id, failure)) = self.failures.recv() => self.roster.note(id, failure),
            () = sleep_until(refresh), if !searching => self.start_search(),
            () = board.changed.notified() => {}
            () = self.cursors.changed() => board.want(&self.cursors.windows()),
            () = sleep(TICK) => {}
        }
        Ok(())
    }

    fn refresh_interval(&self) -> Duration {
        let options = &self.board.options;
        let doublings = self.searches.saturating_sub(1).min(31);
        let refresh = options.first_refresh.saturating_mul(1 << doublings).min(options.refresh);
        let refresh = refresh.max(LEAST_REFRESH);
        if self.is_anyone(Standing::Good) {
            return refresh;
        }
        refresh.min(ANXIOUS_REFRESH)
    }

    fn start_search(&mut self) {
        let (discovery, content) = (self.discovery.clone(), self.board.content);
        let search = async move {
            let found = timeout(DISCOVERY_PATIENCE, discovery.sources(&content)).await;
            found.unwrap_or_else(|_| Err(DiscoveryError::new("no answer came in time")))
        };
        self.search = Some(search.boxed());
    }

    fn take_found(&mut self, found: Result<Vec<Candidate>, DiscoveryError>) {
        self.search = None;
        self.searches = self.searches.saturating_add(1);
        self.searched_at = Instant::now();
        match found {
            Ok(candidates) => {
                self.search_failure = None;
                self.roster.update(candidates);
            }
            Err(error) => {
                tracing::debug!(%error, "a look for sources failed");
                self.search_failure = Some(error);
            }
        }
    }

    fn start_workers(&mut self) {
        let now = self.board.now();
        let room = self.room();
        // Sources of this one may be what keeps those of other downloads waiting.
        let all_taken = self.board.limits.sources.available_permits() == 0;
        if all_taken || (room == 0 && self.roster.has_waiting(now)) {
            self.dismiss_idle(now);
        }
        for (candidate, new) in self.roster.start(room, now) {
            let id = candidate.id;
            if new {
                self.board.state().last_sign = now;
            }
            let standing = if new { Standing::Good } else { Standing::Doubtful };
            self.board.set_standing(id, standing);
            let (board, failures) = (self.board.clone(), self.failures_sender.clone());
            let dismissed = CancellationToken::new();
            self.dismissals.insert(id, dismissed.clone());
            let work = work(board, candidate, failures, dismissed);
            let work = AssertUnwindSafe(work).catch_unwind();
            let work = work.map(move |ended| ended.unwrap_or((id, End::Panicked)));
            self.workers.spawn(work);
        }
    }

    /// How many more sources can be used. Those in whose queues a request waits cost little, and must not keep out others
    /// that have time: up to as many are not counted.
    fn room(&self) -> usize {
        let most = self.board.options.max_sources.max(1);
        let queued = self.queued().min(most);
        most.saturating_add(queued).saturating_sub(self.workers.len())
    }

    /// In how many sources' queues a request waits.
    fn queued(&self) -> usize {
        self.board.state().parts.values().filter(|part| part.queued).count()
    }

    /// Lets the source rest that has been of no use for longest, if that is long.
    fn dismiss_idle(&self, now: Duration) {
        if self.dismissals.values().any(CancellationToken::is_cancelled) {
            // It is about to make room.
            return;
        }
        let state = self.board.state();
        let idle = self
            .dismissals
            .iter()
            .filter_map(|(id, dismissed)| Some((state.parts.get(id)?.idle_since?, dismissed)));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, dismissed)) = longest.filter(|(since, _)| *since + IDLE <= now) {
            dismissed.cancel();
        }
    }

    fn take_end(&mut self, id: SourceId, end: End) -> Result<(), DownloadError> {
        self.dismissals.remove(&id);
        self.take_failures();
        self.board.leave(id);
        match end {
            End::Done => {}
            End::Rest => {
                let rest = self.board.options.rest;
                self.roster.rest(id, rest, self.board.now());
            }
            End::Dismissed => {
                let rest = self.board.options.rest;
                self.roster.dismiss(id, rest, self.board.now());
            }
            End::Lied => self.roster.strike(id),
            End::Panicked => {
                let fault = "the program has a fault in how it works with this source".to_owned();
                self.roster.note(id, TransferError::Unavailable(fault));
                self.roster.strike(id);
            }
            End::Sink(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn take_failures(&mut self) {
        while let Ok((id, failure)) = self.failures.try_recv() {
            self.roster.note(id, failure);
        }
    }

    /// Why it makes no sense to go on, if it makes none.
    fn hopeless(&mut self) -> Option<DownloadError> {
        // A queue may be without news for longer than a source that is gone is waited for.
        if self.searches == 0 || self.is_anyone(Standing::Good) || self.queued() > 0 {
            return None;
        }
        self.take_failures();
        let now = self.board.now();
        let state = self.board.state();
        let options = &self.board.options;
        let begun = state.parts.values().any(|part| part.bytes > 0);
        let patience = match begun && self.roster.may_come_back() {
            true => options.patience.max(options.lull),
            false => options.patience,
        };
        let gone = now.saturating_sub(state.last_sign) >= patience;
        let starved = now.saturating_sub(state.last_useful) >= options.starving_patience;
        let missing = state.planner.first_missing();
        drop(state);
        // Those that were dismissed are as good as there.
        let idle = self.is_anyone(Standing::Idle) || self.roster.is_anyone_dismissed();
        if !(if idle { starved } else { gone }) {
            return None;
        }
        let mut causes = self.roster.causes();
        if let Some(piece) = missing.filter(|_| idle) {
            let idlers = self.roster.entries().filter(|entry| {
                let state = self.board.state();
                let part = state.parts.get(&entry.candidate.id);
                entry.is_dismissed() || part.is_some_and(|part| part.standing == Standing::Idle)
            });
            let labels = idlers.map(|entry| entry.candidate.label.clone());
            causes.extend(labels.map(|label| (label, TransferError::NotHeld(piece))));
        }
        if causes.is_empty() {
            let discovery = self.search_failure.clone();
            return Some(DownloadError::NoSources { discovery });
        }
        Some(DownloadError::AllFailed { causes })
    }

    fn is_anyone(&self, standing: Standing) -> bool {
        let state = self.board.state();
        state.parts.values().any(|part| part.standing == standing)
    }

    fn report(&self) -> Report {
        let state = self.board.state();
        let sources = self.roster.entries().map(|entry| {
            let id = entry.candidate.id;
            let part = state.parts.get(&id);
            SourceReport {
                id,
                label: entry.candidate.label.clone(),
                bytes: part.map_or(0, |part| part.bytes),
                pieces: part.map_or(0, |part| part.pieces),
                failure: entry.failure.clone(),
            }
        });
        Report {
            elapsed: self.board.now(),
            resumed: self.board.resumed,
            fetched: state.planner.progress().verified - self.board.resumed,
            refetched: state.refetched,
            sources: sources.collect(),
        }
    }
}
