//! One pass over all that is to be told to the index.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use p2pshare_core::{
    api::{CatalogChange, GroupReach, MAX_PUBLISH_BATCH, ProblemKind, PublishRequest, Visibility},
    identity::{GroupName, Reach},
    path::SharePath,
};
use tokio::time::Instant;

use super::{
    PublishError, PublishEvents, PublishProgress, PublishReport, Publisher, index::entries,
};
use crate::{
    catalog::{PendingChange, ShareId},
    index_client::ClientError,
};

/// Changes that the index did not take for what they are, and its word.
type Returned = (Vec<PendingChange>, ClientError);

pub(super) struct Run<'a> {
    publisher: &'a Publisher,
    report: PublishReport,
    /// The groups that were published to by their name, as the index told them.
    told: HashMap<GroupName, Reach>,
    /// For whom nothing is published.
    shut: HashSet<Audience>,
    /// Their shares.
    without: Vec<ShareId>,
    /// What the index refused of each share.
    refused: BTreeMap<ShareId, String>,
    /// How many changes are sent at a time.
    at_once: usize,
}

/// How many changes are sent at a time at first; more while that takes less than [`SOON`], fewer when it takes too long.
const FIRST: usize = 250;
const FEWEST: usize = 16;
const MOST: usize = MAX_PUBLISH_BATCH;
const SOON: Duration = Duration::from_secs(4);

impl<'a> Run<'a> {
    pub(super) fn new(publisher: &'a Publisher) -> Self {
        Self {
            publisher,
            report: PublishReport::default(),
            told: HashMap::new(),
            shut: HashSet::new(),
            without: Vec::new(),
            refused: BTreeMap::new(),
            at_once: FIRST,
        }
    }

    /// Sends what is pending, page by page; the next page is read while one is sent.
    pub(super) async fn all(
        mut self,
        events: PublishEvents<'_>,
    ) -> Result<PublishReport, PublishError> {
        let Publisher { catalog, account, .. } = self.publisher;
        let total = catalog.pending_count().await?;
        let page = async |after, without: &[ShareId]| {
            catalog.pending(account.clone(), after, without, MAX_PUBLISH_BATCH).await
        };
        let mut current = page(None, &[]).await?;
        while let Some(last) = current.last() {
            let last = Some(last.change.path().clone());
            let without = self.without.clone();
            let (sent, next) = futures::join!(self.send_page(current), page(last, &without));
            sent?;
            let done = self.report.published + self.report.withdrawn;
            events(PublishProgress { done, total });
            current = next?;
        }
        catalog.note_refused(account.clone(), self.refused.into_iter().collect()).await?;
        Ok(self.report)
    }

    /// Sends a page: first what makes room, then for each group what is for it, for the index does a batch whole or not
    /// at all.
    async fn send_page(&mut self, page: Vec<PendingChange>) -> Result<(), PublishError> {
        let (gone, new): (Vec<_>, Vec<_>) = page.into_iter().partition(is_withdrawal);
        self.send_all(gone).await?;
        let mut batches: Vec<(Audience, Vec<PendingChange>)> = Vec::new();
        for change in new {
            let audience = self.audience(&change);
            // A page has few groups.
            match batches.iter_mut().find(|(of, _)| *of == audience) {
                Some((_, batch)) => batch.push(change),
                None => batches.push((audience, vec![change])),
            }
        }
        for (audience, batch) in batches {
            self.send(audience, batch).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        audience: Audience,
        batch: Vec<PendingChange>,
    ) -> Result<(), PublishError> {
        if self.shut.contains(&audience) {
            return Ok(());
        }
        if audience.lost {
            return self.shut(audience, LOST.to_owned()).await;
        }
        let Err((batch, error)) = self.try_send(&audience, batch).await? else {
            return Ok(());
        };
        if error.kind() == Some(ProblemKind::QuotaExceeded) {
            return self.send_what_fits(&audience, batch).await;
        }
        self.check_announced().await?;
        let reason = match (&audience.visibility, audience.reach) {
            (Visibility::Group(_), Some(_)) => error.to_string(),
            (Visibility::Group(_), None) => format!("{error}: {LOST}"),
            _ => return Err(PublishError::Index(error)),
        };
        self.shut(audience, reason).await
    }

    /// Sends first what takes the place of something, which always fits, and then what is new, as far as there is room.
    async fn send_what_fits(
        &mut self,
        audience: &Audience,
        batch: Vec<PendingChange>,
    ) -> Result<(), PublishError> {
        let Publisher { catalog, account, .. } = self.publisher;
        let paths = batch.iter().map(|change| change.change.path().clone()).collect();
        let known = catalog.known_of(account.clone(), paths).await?;
        let is_known = |change: &PendingChange| known.contains(change.change.path());
        let (replaced, new): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_known);
        for part in [replaced, new] {
            let Err((part, error)) = self.try_send(audience, part).await? else { continue };
            self.refuse(audience, part.len() as u64, &error.to_string());
            for share in part.iter().filter_map(|change| change.share) {
                self.refused.insert(share, error.to_string());
            }
            // What it was before may have been for others.
            let stale = part.into_iter().filter(is_known).map(PendingChange::withdrawn);
            self.send_all(stale.collect()).await?;
        }
        Ok(())
    }

    /// Publishes nothing for these in this pass, and withdraws what others could find of it: what is meant for a group
    /// that is not there must not stay with those who could see it before.
    async fn shut(&mut self, audience: Audience, reason: String) -> Result<(), PublishError> {
        let Publisher { catalog, account, .. } = self.publisher;
        let shares =
            catalog.shares_for(&audience.visibility, audience.reach, audience.lost).await?;
        if audience.reach.is_none() {
            catalog.note_lost(account.clone(), &shares).await?;
        }
        loop {
            let known = catalog.known_in(account.clone(), &shares, MAX_PUBLISH_BATCH).await?;
            if known.is_empty() {
                break;
            }
            self.send_all(known.into_iter().map(PendingChange::of).collect()).await?;
        }
        let files = catalog.pending_in(&shares).await?;
        self.refuse(&audience, files, &reason);
        self.refused.extend(shares.iter().map(|share| (*share, reason.clone())));
        self.without.extend(shares);
        self.shut.insert(audience);
        Ok(())
    }

    fn refuse(&mut self, audience: &Audience, files: u64, reason: &str) {
        self.report.refuse(&audience.visibility, audience.reach, files, reason);
    }

    /// Sends changes of which nothing can be refused.
    async fn send_all(&mut self, batch: Vec<PendingChange>) -> Result<(), PublishError> {
        let sent = self.try_send(&Audience::default(), batch).await?;
        if let Err((_, error)) = sent {
            self.check_announced().await?;
            return Err(PublishError::Index(error));
        }
        Ok(())
    }

    /// Sends changes; gives back those that are left when the index refuses some for what they are: they are more than it
    /// takes of a user, or for a group that is not there.
    ///
    /// On a slow line what cannot be sent in the time that the index waits is sent in smaller parts.
    async fn try_send(
        &mut self,
        audience: &Audience,
        mut rest: Vec<PendingChange>,
    ) -> Result<Result<(), Returned>, PublishError> {
        while !rest.is_empty() {
            let after = rest.split_off(self.at_once.min(rest.len()));
            let (part, begun) = (rest, Instant::now());
            let len = part.len();
            match self.try_part(audience, &part).await? {
                Ok(()) => {
                    rest = after;
                    if len == self.at_once && begun.elapsed() < SOON {
                        self.at_once = (self.at_once * 2).min(MOST);
                    }
                    continue;
                }
                Err(error) if is_late(&error) && len > FEWEST => {
                    tracing::debug!(%error, len, "fewer changes are sent at a time");
                    self.at_once = (len / 4).max(FEWEST);
                    rest = joined(part, after);
                }
                Err(error) if is_late(&error) => return Err(PublishError::Index(error)),
                Err(error) => return Ok(Err((joined(part, after), error))),
            }
        }
        Ok(Ok(()))
    }

    /// Sends a batch. The inner error is that of an index that refuses it for what it is, or had no time for it.
    async fn try_part(
        &mut self,
        audience: &Audience,
        batch: &[PendingChange],
    ) -> Result<Result<(), ClientError>, PublishError> {
        let Publisher { catalog, account, index } = self.publisher;
        let changes: Vec<_> = batch.iter().map(|pending| pending.change.clone()).collect();
        let request = PublishRequest { changes, groups: audience.meant() };
        let done = match index.publish(&request).await {
            Ok(done) => done,
            Err(error) => match error.kind() {
                Some(
                    ProblemKind::QuotaExceeded
                    | ProblemKind::NotFound
                    | ProblemKind::Conflict
                    | ProblemKind::Timeout,
                ) => return Ok(Err(error)),
                _ => return Err(PublishError::Index(error)),
            },
        };
        self.report.total = Some(done.published.total);
        let withdrawn = batch.iter().filter(|change| is_withdrawal(change)).count() as u64;
        self.report.withdrawn += withdrawn;
        self.report.published += batch.len() as u64 - withdrawn;
        self.told.extend(done.reaches.iter().map(|told| (told.group.clone(), told.reach)));
        catalog.acknowledge(account.clone(), request.changes, done.reaches).await?;
        Ok(Ok(()))
    }

    /// Tells a peer that the index does not know from anything else that it does not find.
    async fn check_announced(&self) -> Result<(), PublishError> {
        entries(&*self.publisher.index, None, 1).await.map(drop)
    }

    /// For whom something is to be published. The page may have been read before the index told which group that is.
    fn audience(&self, pending: &PendingChange) -> Audience {
        let CatalogChange::Publish(entry) = &pending.change else {
            return Audience::default();
        };
        let Visibility::Group(group) = &entry.visibility else {
            return Audience::default();
        };
        let lost = pending.lost;
        let reach = pending.reach.or_else(|| self.told.get(group).copied().filter(|_| !lost));
        Audience { visibility: entry.visibility.clone(), reach, lost }
    }
}

/// What to do about a share for a group that was not there.
const LOST: &str = "the group was not there when this was to be published for the first time: once you are in it, \
                    share this with it again";

/// For whom a batch is: a group, or `Public` for what no group can keep from being done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Audience {
    visibility: Visibility,
    /// Which group, where that is known.
    reach: Option<Reach>,
    /// No such group was there.
    lost: bool,
}

impl Audience {
    /// What the index is told of it.
    fn meant(&self) -> Vec<GroupReach> {
        match (&self.visibility, self.reach) {
            (Visibility::Group(group), Some(reach)) => {
                vec![GroupReach { group: group.clone(), reach }]
            }
            _ => Vec::new(),
        }
    }
}

impl PendingChange {
    fn of(change: CatalogChange) -> Self {
        Self { change, share: None, reach: None, lost: false }
    }

    fn withdrawn(self) -> Self {
        let path: SharePath = self.change.path().clone();
        Self::of(CatalogChange::Withdraw(path))
    }
}

/// Whether the index had no time for a batch.
fn is_late(error: &ClientError) -> bool {
    error.kind() == Some(ProblemKind::Timeout)
}

fn joined(mut first: Vec<PendingChange>, after: Vec<PendingChange>) -> Vec<PendingChange> {
    first.extend(after);
    first
}

fn is_withdrawal(pending: &PendingChange) -> bool {
    matches!(pending.change, CatalogChange::Withdraw(_))
}
