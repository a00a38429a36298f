//! Which shares are followed, and when something is done about what changes in them.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    WatchEvent, WatchEvents, WatchOptions,
    dirty::Patience,
    feed::Feed,
    follow::{Folders, Refused},
    following::Following,
    place::Place,
    work::Work,
};
use crate::{
    catalog::{CatalogLock, Share, ShareId},
    share::{Looked, Part, Scope, ShareError, Sharer},
};

/// How often it is looked whether something was left alone for long enough.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After a failure it is tried again so soon.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How often it is tried again to have the system tell of changes that it refused to tell of.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// Follows shares, for as long as it runs.
pub(super) struct Rounds {
    work: Work,
    shares: HashMap<ShareId, Following>,
    /// What the catalog had when it was looked last, those too that are not followed.
    adopted: Option<Vec<Share>>,
    /// One share at a time is looked through as a whole.
    turn: Arc<Semaphore>,
    places: JoinSet<(ShareId, Place)>,
    scans: JoinSet<(ShareId, Result<Scanned, ShareError>)>,
    hashes: JoinSet<(ShareId, Result<(), ShareError>)>,
    last_round: Instant,
}

/// What has come of looking through a share.
enum Scanned {
    /// Another process does it.
    Elsewhere,
    Done {
        looked: Vec<Looked>,
        lock: CatalogLock,
        followed: Option<Result<(), Refused>>,
        took: Duration,
    },
}

impl Rounds {
    pub(super) fn new(
        sharer: Sharer,
        options: WatchOptions,
        events: WatchEvents,
        stop: CancellationToken,
    ) -> Self {
        let patience = Patience { quiet: options.quiet, writing: options.writing };
        let feed = Arc::new(Feed::new(sharer.data_dir(), patience));
        let folders = Folders::of_system(&feed);
        Self::with(Work::new(sharer, options, events, feed, folders, stop))
    }

    pub(super) fn with(work: Work) -> Self {
        Self {
            work,
            shares: HashMap::new(),
            adopted: None,
            turn: Arc::new(Semaphore::new(1)),
            places: JoinSet::new(),
            scans: JoinSet::new(),
            hashes: JoinSet::new(),
            last_round: Instant::now(),
        }
    }

    /// Goes on until it is dropped. What fails is told and tried again.
    pub(super) async fn run(mut self) -> Result<(), ShareError> {
        loop {
            let Err(error) = self.follow_catalog().await;
            self.work.trouble(format!("following what changes: {error}"));
            sleep(TRY_AGAIN).await;
        }
    }

    async fn follow_catalog(&mut self) -> Result<Infallible, ShareError> {
        let mut changes = self.work.catalog().changes().await?;
        self.adopt().await?;
        let mut presence = interval(self.work.options.presence);
        presence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let feed = self.work.feed.clone();
            // Counted from the last round, since whatever else happens begins this anew.
            let next = self.last_round + LOOK_EVERY;
            let due = async {
                feed.wait().await;
                sleep_until(next.into()).await;
            };
            tokio::select! {
                changed = changes.changed() => {
                    changed?;
                    self.adopt().await?;
                }
                _ = presence.tick() => self.look_at_places(),
                Some(seen) = self.places.join_next() => {
                    if let Ok((share, place)) = seen {
                        self.seen(share, place);
                    }
                }
                Some(scanned) = self.scans.join_next() => {
                    if let Ok((share, scanned)) = scanned {
                        self.scanned(share, scanned).await;
                    }
                }
                Some(hashed) = self.hashes.join_next() => {
                    if let Ok((share, Err(error))) = hashed {
                        self.failed(share, &error);
                    }
                }
                () = due => self.round().await,
            }
        }
    }

    /// Takes over what the catalog says of shares.
    async fn adopt(&mut self) -> Result<(), ShareError> {
        let mut shares = self.work.catalog().shares().await?;
        let adopted = shares.clone();
        shares.retain(|share| share.watched);
        let ended: Vec<_> = self
            .shares
            .extract_if(|id, _| !shares.iter().any(|share| share.id == *id))
            .map(|(id, following)| (id, following.share.root))
            .collect();
        for (id, root) in ended {
            self.work.feed.leave(id);
            self.work.leave(&root, self.roots()).await;
        }
        for share in shares {
            let id = share.id;
            let rules = |share: &Share| (share.hidden, share.follow_links, share.is_file);
            let following = self.shares.get(&id);
            if following.is_none_or(|following| rules(&following.share) != rules(&share)) {
                self.work.feed.follow(&share);
                self.work.feed.note_everything(id, Instant::now());
            }
            match self.shares.get_mut(&id) {
                Some(following) => following.adopt(share),
                None => {
                    self.shares.insert(id, Following::new(share));
                }
            }
        }
        // At first all are looked through.
        if let Some(before) = self.adopted.replace(adopted) {
            let now = self.adopted.as_deref().unwrap_or_default();
            self.note_links(&before, now);
        }
        Ok(())
    }

    /// Has those shares looked through in which may be links to what is for fewer than before.
    fn note_links(&self, before: &[Share], now: &[Share]) {
        let was =
            |share: &&Share| before.iter().any(|was| was.id == share.id && was.is_for_whom(share));
        for changed in now.iter().filter(|share| !was(share)) {
            let others = self.shares.values().map(|following| &following.share);
            for other in others.filter(|other| changed.is_for_fewer_than(other)) {
                self.work.feed.note_everything(other.id, Instant::now());
            }
        }
        // What lies in the place of one may be meant for as many now.
        let is_there = |was: &&Share| now.iter().any(|share| share.id == was.id);
        if now.iter().any(|share| !was(&share)) || !before.iter().all(|was| is_there(&was)) {
            let away = self.shares.values().filter(|following| !following.share.online);
            away.for_each(|following| {
                self.work.feed.note_everything(following.share.id, Instant::now());
            });
        }
    }

    fn roots(&self) -> Vec<PathBuf> {
        self.shares.values().map(|following| following.share.root.clone()).collect()
    }

    /// Looks whether shares are there, and sees to it that those are looked through whose time has come.
    fn look_at_places(&mut self) {
        let now = Instant::now();
        for (id, following) in &mut self.shares {
            if following.next.is_some_and(|next| next <= now) && !following.scanning {
                following.next = None;
                self.work.feed.note_everything(*id, now);
            }
            // A disk that does not answer keeps nobody waiting but those who look at it.
            following.silent = following.looking;
            if !following.looking {
                following.looking = true;
                let (id, root) = (*id, following.share.root.clone());
                self.places.spawn(async move { (id, Place::look(&root).await) });
            }
        }
    }

    fn seen(&mut self, id: ShareId, place: Place) {
        let Some(following) = self.shares.get_mut(&id) else {
            return;
        };
        if following.see(place) {
            tracing::debug!(root = %following.share.root.display(), "something else may be there now");
            self.work.feed.note_everything(id, Instant::now());
        }
    }

    /// Does something about what was left alone for long enough.
    async fn round(&mut self) {
        self.last_round = Instant::now();
        let is_ready = |id: ShareId| {
            self.shares.get(&id).is_some_and(|following| !following.scanning && !following.silent)
        };
        let mut parts = Vec::new();
        for (id, scope) in self.work.feed.take(is_ready) {
            let Some(following) = self.shares.get_mut(&id) else {
                continue;
            };
            if scope.is_all() || !following.share.online {
                self.scan(id);
                continue;
            }
            if following.refused.is_none() {
                match self.work.follow(&following.share, &scope).await {
                    Ok(followed) => self.followed(id, followed).await,
                    Err(error) => self.failed(id, &error),
                }
            }
            if let Some(following) = self.shares.get(&id) {
                parts.push(Part { share: following.share.clone(), scope });
            }
        }
        if parts.is_empty() {
            return;
        }
        let shares: Vec<_> = parts.iter().map(|part| part.share.id).collect();
        match self.work.look(parts).await {
            Ok(looked) => {
                for one in looked {
                    self.note_absent(one.report.share.id, std::slice::from_ref(&one));
                    self.hash(one, None);
                }
            }
            Err(error) => shares.into_iter().for_each(|share| self.failed(share, &error)),
        }
    }

    /// Looks through a share as a whole, beside everything else.
    fn scan(&mut self, id: ShareId) {
        let Some(following) = self.shares.get_mut(&id) else {
            return;
        };
        following.scanning = true;
        let asks = following.refused.is_none_or(|again| again <= Instant::now());
        let (work, turn, share) = (self.work.clone(), self.turn.clone(), following.share.clone());
        self.scans.spawn(async move { (id, scan(&work, &turn, share, asks).await) });
    }

    async fn scanned(&mut self, id: ShareId, scanned: Result<Scanned, ShareError>) {
        let Some(following) = self.shares.get_mut(&id) else {
            return;
        };
        following.scanning = false;
        match scanned {
            Ok(Scanned::Elsewhere) => {
                self.work.feed.note_everything(id, Instant::now() + self.work.options.quiet);
            }
            Ok(Scanned::Done { looked, lock, followed, took }) => {
                if let Some(followed) = followed {
                    self.followed(id, followed).await;
                }
                if let Some(following) = self.shares.get_mut(&id) {
                    let every = following.every(&self.work.options, took);
                    following.next = Some(Instant::now() + every);
                    self.note_absent(id, &looked);
                }
                let mut lock = Some(lock);
                looked.into_iter().for_each(|looked| self.hash(looked, lock.take()));
            }
            Err(error) => self.failed(id, &error),
        }
    }

    /// Tells once that nothing of a share is there.
    fn note_absent(&mut self, id: ShareId, looked: &[Looked]) {
        let Some(following) = self.shares.get_mut(&id) else {
            return;
        };
        let absent = looked.iter().find(|looked| !looked.report.share.online);
        let before = std::mem::replace(&mut following.absent, absent.is_some());
        if let Some(looked) = absent.filter(|_| !before) {
            (self.work.events)(WatchEvent::Absent {
                share: looked.report.share.clone(),
                usurped: looked.report.usurped,
            });
        }
    }

    /// The system tells of changes in a share, or refuses to.
    async fn followed(&mut self, id: ShareId, followed: Result<(), Refused>) {
        let Some(following) = self.shares.get_mut(&id) else {
            return;
        };
        let Err(refused) = followed else {
            following.refused = None;
            return;
        };
        let now = Instant::now();
        if following.refused.replace(now + ASK_AGAIN).is_none() {
            let share = following.share.clone();
            following.next = Some(now + self.work.options.poll);
            // What is followed in it would be of little use, and others may need it.
            let mut others = self.roots();
            others.retain(|other| *other != share.root);
            self.work.leave(&share.root, others).await;
            (self.work.events)(WatchEvent::Polled { share, reason: refused.to_string() });
        }
    }

    fn hash(&mut self, looked: Looked, lock: Option<CatalogLock>) {
        let (work, share) = (self.work.clone(), looked.report.share.id);
        if !looked.unhashed.is_empty() {
            self.hashes.spawn(async move { (share, work.hash(looked, lock).await) });
        }
    }

    fn failed(&self, share: ShareId, error: &ShareError) {
        if !matches!(error, ShareError::Ended(_)) {
            self.work.trouble(format!("following what changes: {error}"));
        }
        self.work.feed.note_everything(share, Instant::now() + TRY_AGAIN);
    }
}

/// Looks through a share. `asks`: the system is asked to tell of changes in it.
async fn scan(
    work: &Work,
    turn: &Semaphore,
    share: Share,
    asks: bool,
) -> Result<Scanned, ShareError> {
    // It is never closed.
    let _turn = turn.acquire().await;
    let Some(lock) = work.sharer.try_lock(&share.root).await? else {
        return Ok(Scanned::Elsewhere);
    };
    let begin = Instant::now();
    let scope = Scope::all();
    // Before it is looked at, so that nothing is missed.
    let followed = match asks {
        true => Some(work.follow(&share, &scope).await?),
        false => None,
    };
    let looked = work.look(vec![Part { share, scope }]).await?;
    Ok(Scanned::Done { looked, lock, followed, took: begin.elapsed() })
}
