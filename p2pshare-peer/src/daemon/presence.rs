//! Staying online at the index, and keeping it told of what is shared.

use std::{
    convert::Infallible,
    mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use p2pshare_core::{
    api::{Heartbeat, ProblemKind},
    identity::PeerAddr,
    time::{Clock, SystemClock},
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{DaemonError, DaemonEvent, DaemonEvents, refused::LastRefused, shared::Shared};
use crate::{
    guard::GrantGuard,
    index_client::ClientError,
    metrics::PeerMetrics,
    port_mapping::PortMapper,
    publish::{OwnPeer, PublishError, PublishReport},
};

/// After a failure it is tried again so soon.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Who has not beaten for so long has slept.
const ASLEEP: Duration = Duration::from_secs(300);

/// Heartbeats are never closer than this, whatever the index says.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);

/// And never further apart: a peer is taken for offline after 90 seconds.
const LONGEST_BEAT: Duration = Duration::from_secs(60);

/// How often all that the index has of the peer is compared with what it should have. It may have been restored from a
/// copy, which nothing else tells where the number of files is the same.
const COMPARE_EVERY: Duration = Duration::from_secs(3600);

/// How long that is spared for each file: after the index was away, and besides.
const COMPARE_ONE: [Duration; 2] = [Duration::from_millis(6), Duration::from_millis(60)];

/// No number of files was told yet.
pub(super) const UNTOLD: u64 = u64::MAX;

pub(super) struct Presence {
    pub(super) peer: OwnPeer,
    pub(super) guard: GrantGuard,
    pub(super) shared: Arc<dyn Shared>,
    pub(super) listen: SocketAddr,
    pub(super) advertise: Vec<PeerAddr>,
    /// It serves without TLS.
    pub(super) insecure: bool,
    /// Where a way in for others is asked for.
    pub(super) mapper: PortMapper,
    pub(super) events: DaemonEvents,
    pub(super) metrics: PeerMetrics,
    pub(super) refused: Mutex<LastRefused>,
    /// Files that the index knows of the peer, as was told last.
    pub(super) published: AtomicU64,
}

/// Why what is shared comes and goes.
const DOUBLED: &str = "another p2pshare-peer serves with the key of this data directory, as when it was copied to another \
                       machine: each of them withdraws what the other one shares. Stop one of them, and log in there with \
                       another --data-dir";

/// So many heartbeats one after the other say that for certain.
const CERTAIN: u32 = 2;

/// What was certain so often is told.
const TOLD_AT: u32 = 2;

/// When all that the index has was compared last.
#[derive(Default)]
struct Compared {
    at: Option<Instant>,
    /// The index was away since.
    was_away: bool,
}

/// What is known from one time online to the next.
#[derive(Default)]
struct Course {
    /// It was online before.
    is_ready: bool,
    /// It is online: the index has taken its announce, and nothing since says that it is away.
    is_there: bool,
    /// Why what is shared is not published, as was told last.
    unpublished: Option<String>,
    compared: Compared,
    /// Heartbeats one after the other that told of an announce by another process.
    elsewhere: u32,
    /// How often they said for certain that there is one.
    doubles: u32,
    /// The processes of the index that have answered, newest first.
    processes: Vec<String>,
    /// The addresses of which it is known whether others reach the peer there.
    tried: Vec<PeerAddr>,
}

/// So many processes of an index are known again.
const PROCESSES: usize = 64;

impl Course {
    /// Notes which process of the index answered. One that began since may work on a store that was restored from a copy,
    /// in which the number of files may be the same.
    fn note_process(&mut self, answer: &Heartbeat) {
        let Some(process) = answer.process.as_ref().filter(|new| !self.processes.contains(new))
        else {
            return;
        };
        self.compared.was_away |= !self.processes.is_empty();
        self.processes.truncate(PROCESSES - 1);
        self.processes.insert(0, process.clone());
    }
}

impl Compared {
    /// Whether it is time to compare so many files.
    fn is_due(&self, files: u64) -> bool {
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        let [after_away, besides] = COMPARE_ONE.map(|one| one.saturating_mul(files));
        let spared = if self.was_away { after_away } else { COMPARE_EVERY + besides };
        self.at.is_none_or(|at| at.elapsed() >= spared)
    }
}

impl Presence {
    /// Keeps the peer online until `stop` is cancelled, or the session ends.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<(), DaemonError> {
        stop.run_until_cancelled(self.stay()).await.unwrap_or(Ok(()))
    }

    async fn stay(&self) -> Result<(), DaemonError> {
        let mut course = Course::default();
        loop {
            let ended = self.online(&mut course).await;
            let Err(error) = ended;
            if error.is_logged_out() {
                return Err(DaemonError::LoggedOut);
            }
            // What is wrong at the start is wrong for good, unless it is only that the index is away.
            if !course.is_ready && !is_passing(&error) {
                return Err(error);
            }
            course.is_there &= is_of_publishing(&error);
            self.trouble(&error, &mut course);
            sleep(TRY_AGAIN).await;
        }
    }

    /// Announces the peer, publishes, and then beats until something fails.
    async fn online(&self, course: &mut Course) -> Result<Infallible, DaemonError> {
        refresh_keys(&self.peer, &self.guard).await?;
        let mut whereabouts = self.arrive().await?;
        let was_there = mem::replace(&mut course.is_there, true);
        course.compared.was_away |= !was_there;
        if course.is_ready && !was_there {
            (self.events)(DaemonEvent::Online);
            self.mapper.look_again();
        }
        let mut beat = beat_of(whereabouts.place.announced.heartbeat_seconds);
        self.beating(beat, self.publish()).await?;
        course.unpublished = None;
        let answer = self.beating(beat, self.beat()).await?;
        course.note_process(&answer);
        if !course.is_ready {
            course.is_ready = true;
            let published = self.shared.published().await?;
            self.published.store(published, Relaxed);
            let addresses = whereabouts.place.addresses.clone();
            (self.events)(DaemonEvent::Ready { listen: self.listen, addresses, published });
        }
        let mut beaten = SystemClock.now();
        let mut next = Instant::now() + beat;
        loop {
            if course.compared.is_due(self.shared.published().await?) {
                // What fails is not tried again at once.
                course.compared = Compared { at: Some(Instant::now()), was_away: false };
                self.beating(beat, self.compare()).await?;
            }
            tokio::select! {
                changed = self.shared.changed() => {
                    changed?;
                    self.beating(beat, self.publish()).await?;
                }
                () = sleep_until(next) => {
                    let answer = self.beating(beat, self.beat()).await?;
                    course.note_process(&answer);
                    beat = beat_of(answer.heartbeat_seconds);
                    next = Instant::now() + beat;
                    // While the machine sleeps the router forgets, and the time that is waited for stands still.
                    if SystemClock.now().since(mem::replace(&mut beaten, SystemClock.now())) > ASLEEP {
                        self.mapper.look_again();
                    }
                    if self.is_doubled(&answer, course) {
                        // So that the other one, if there is one, finds it out too.
                        let seen_from = answer.seen_from.clone();
                        if let Err(error) = self.move_to(&mut whereabouts, seen_from).await {
                            tracing::debug!(%error, "the peer was not announced anew");
                        }
                    }
                    self.note_seen(&mut whereabouts, answer.seen_from).await?;
                    let trying = self.try_reach(&whereabouts.place, &mut course.tried);
                    self.beating(beat, trying).await;
                }
                // The sender lives as long as `self`.
                _ = whereabouts.outside.changed() => {
                    let seen_from = whereabouts.place.announced.seen_from.clone();
                    self.move_to(&mut whereabouts, seen_from).await?;
                }
            }
        }
    }

    /// Does what may take long, as publishing over a slow line does, and says meanwhile that the peer is there.
    async fn beating<T>(&self, every: Duration, work: impl Future<Output = T>) -> T {
        let beats = async {
            loop {
                sleep(every).await;
                if let Err(error) = beat(&self.peer, &self.guard).await {
                    tracing::debug!(%error, "a heartbeat failed beside other work");
                }
            }
        };
        tokio::select! {
            done = work => done,
            never = beats => never,
        }
    }

    /// Says that the peer is there, and does what the answer asks for.
    async fn beat(&self) -> Result<Heartbeat, DaemonError> {
        let answer = beat(&self.peer, &self.guard).await?;
        let shares = self.shared.shares().await?;
        if let Some(repaired) = self.shared.reconcile(&self.peer, answer.entries).await? {
            self.tell(&repaired.report, true).await?;
        } else if self.refused().is_due(shares.refused) {
            self.publish().await?;
        }
        self.metrics.set_online(true);
        self.metrics.set_shares(shares.count);
        self.recount(false).await?;
        Ok(answer)
    }

    /// Whether another process seems to serve with the same key, so that the peer should be announced anew. Told the second
    /// time: a command that makes the peer known to an index that has forgotten it takes that back, unless it is killed.
    fn is_doubled(&self, answer: &Heartbeat, course: &mut Course) -> bool {
        if !self.peer.is_announced_elsewhere(answer) {
            course.elsewhere = 0;
            return false;
        }
        course.elsewhere = course.elsewhere.saturating_add(1);
        if course.elsewhere < CERTAIN || course.doubles >= TOLD_AT {
            return false;
        }
        course.elsewhere = 0;
        course.doubles += 1;
        if course.doubles == TOLD_AT {
            (self.events)(DaemonEvent::Trouble(DOUBLED.to_owned()));
        }
        true
    }

    /// Compares all that the index has with what it should have.
    async fn compare(&self) -> Result<(), DaemonError> {
        let repaired = self.shared.reconcile_all(&self.peer).await?;
        if repaired.differing > 0 {
            tracing::info!(files = repaired.differing, "the index had something else of this peer");
        }
        self.tell(&repaired.report, repaired.differing > 0).await
    }

    async fn publish(&self) -> Result<(), DaemonError> {
        let report = self.shared.publish(&self.peer).await?;
        self.tell(&report, report.published + report.withdrawn > 0).await
    }

    /// Tells what was refused, if that was not told before, and how much is published if that has `changed`.
    async fn tell(&self, report: &PublishReport, changed: bool) -> Result<(), DaemonError> {
        let new = self.refused().take(&report.refused);
        for refused in new {
            (self.events)(DaemonEvent::Trouble(refused.to_string()));
        }
        self.recount(changed).await
    }

    /// Tells how much is published if that has `changed`, or is other than was told: a command may have published too.
    async fn recount(&self, changed: bool) -> Result<(), DaemonError> {
        let total = self.shared.published().await?;
        self.metrics.set_published(total);
        let told = self.published.swap(total, Relaxed);
        if changed || (told != total && told != UNTOLD) {
            (self.events)(DaemonEvent::Published { total });
        }
        Ok(())
    }

    fn refused(&self) -> MutexGuard<'_, LastRefused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something failed, and is tried again.
    fn trouble(&self, error: &DaemonError, course: &mut Course) {
        self.metrics.set_online(course.is_there);
        self.metrics.index_failed();
        if course.is_there {
            // Nobody has been told yet that the index knows it.
            if !course.is_ready && course.unpublished.is_none() {
                (self.events)(DaemonEvent::Online);
            }
            let what = format!("what is shared is not published yet: {error}");
            if course.unpublished.as_ref() != Some(&what) {
                (self.events)(DaemonEvent::Trouble(what.clone()));
            }
            course.unpublished = Some(what);
            return;
        }
        // The index has forgotten the peer, as one in memory does when it starts anew: it is announced again.
        if is_unknown(error) {
            tracing::info!("the index does not know this peer any more: it is announced again");
        } else {
            (self.events)(DaemonEvent::Offline(error.to_string()));
        }
    }
}

/// Says that a peer is there. If the index has other keys than are known, the guard accepts grants of these from now on.
pub(super) async fn beat(peer: &OwnPeer, guard: &GrantGuard) -> Result<Heartbeat, DaemonError> {
    let answer = peer.client().heartbeat(&peer.id()).await?;
    if peer.index_keys().differ_from(&answer.keys) {
        refresh_keys(peer, guard).await?;
    }
    Ok(answer)
}

/// From now on grants of the keys that the index has now are accepted.
pub(super) async fn refresh_keys(peer: &OwnPeer, guard: &GrantGuard) -> Result<(), DaemonError> {
    let keys = peer.index_keys();
    keys.refresh(peer.client()).await?;
    guard.replace_keys(keys.current());
    Ok(())
}

pub(super) fn beat_of(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).clamp(SHORTEST_BEAT, LONGEST_BEAT)
}

fn is_unknown(error: &DaemonError) -> bool {
    match error {
        DaemonError::Index(error) => error.kind() == Some(ProblemKind::NotFound),
        DaemonError::Publish(PublishError::NotAnnounced) => true,
        _ => false,
    }
}

/// Whether it says nothing of the peer being online: the index answers, but not as is wanted, or the catalog fails.
fn is_of_publishing(error: &DaemonError) -> bool {
    match error {
        DaemonError::Publish(PublishError::Index(ClientError::Problem(problem))) => {
            !matches!(problem.kind(), Some(ProblemKind::NotFound | ProblemKind::Unavailable))
        }
        DaemonError::Publish(
            PublishError::Catalog(_) | PublishError::Collection(_) | PublishError::Lock(_),
        ) => true,
        _ => false,
    }
}

/// Whether it may be better in a moment.
fn is_passing(error: &DaemonError) -> bool {
    use crate::{index_keys::IndexKeysError, publish::AnnounceFailure};
    match error {
        DaemonError::Index(error)
        | DaemonError::Announce(AnnounceFailure::Index(error))
        | DaemonError::IndexKeys(IndexKeysError::Index(error))
        | DaemonError::Announce(AnnounceFailure::Keys(IndexKeysError::Index(error)))
        | DaemonError::Publish(PublishError::Index(error)) => error.is_passing(),
        DaemonError::Publish(PublishError::Collection(_)) => true,
        other => is_unknown(other),
    }
}
