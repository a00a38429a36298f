//! Publishing what is in no catalog.

use std::{cmp::Ordering, collections::BTreeMap, error::Error};

use async_trait::async_trait;
use p2pshare_core::{
    api::{
        CatalogChange, Entry, GroupReach, ProblemKind, PublishAnswer, PublishRequest, Visibility,
    },
    identity::{GroupName, Reach},
    path::SharePath,
};

use super::{
    CatalogIndex, PublishError, PublishReport,
    index::entries,
    pages::{Ours, Theirs},
};

/// Changes that are sent at a time; no fewer for want of time.
const BATCH: usize = 250;
const FEWEST: usize = 16;

/// Why nothing is published to a group.
const UNSTATED: &str = "it is not stated which group is meant by the name";

/// Why nothing more is tried in a pass.
const FULL: &str = "the index takes no more files of this user";

/// Why a collection cannot say what is in it.
pub type CollectionError = Box<dyn Error + Send + Sync>;

/// Lists what somebody shares that is in no folder of this machine: objects in a store of their own, say.
///
/// What is listed must be what the source beside it can deliver: see
/// [`CollectionShares`](crate::daemon::CollectionShares).
#[async_trait]
pub trait Collection: Send + Sync {
    /// What comes after this path, or first of all, in the order in which [`SharePath`]s compare; at most `limit`. Nothing:
    /// that was all.
    ///
    /// # Errors
    /// Whatever keeps it from being told. It is asked again later, and nothing is withdrawn meanwhile.
    async fn entries(
        &self,
        after: Option<&SharePath>,
        limit: u16,
    ) -> Result<Vec<Entry>, CollectionError>;
}

/// The groups that are meant by their names.
pub(crate) type Groups = BTreeMap<GroupName, Reach>;

/// Sends changes to an index. Each path may come once.
pub(crate) struct Sending<'a> {
    index: &'a dyn CatalogIndex,
    groups: &'a Groups,
    report: PublishReport,
    /// What makes room goes first.
    withdrawals: Vec<Change>,
    /// What waits until it is enough for a batch. A batch is done whole or not at all, so there is one for each audience.
    batches: Vec<(Visibility, Vec<Change>)>,
    /// The index takes nothing new any more.
    is_full: bool,
}

/// A change, and whether the index may have something else under its path.
struct Change {
    change: CatalogChange,
    is_known: bool,
}

/// Why the index does not take a batch for what it is.
enum Refusal {
    /// It is more than it takes of a user.
    Full(String),
    /// Some of it is wrong, or took too long.
    Parts(String),
    /// It is for a group that is not there, or another.
    Whole(String),
}

impl<'a> Sending<'a> {
    pub(crate) fn new(index: &'a dyn CatalogIndex, groups: &'a Groups) -> Self {
        Self {
            index,
            groups,
            report: PublishReport::default(),
            withdrawals: Vec::new(),
            batches: Vec::new(),
            is_full: false,
        }
    }

    /// Compares all that the index has with all that is in a collection, and sends what differs.
    pub(crate) async fn compare(
        mut self,
        collection: &dyn Collection,
    ) -> Result<PublishReport, PublishError> {
        let (mut ours, mut theirs) = (Ours::of(collection), Theirs::of(self.index));
        loop {
            let (our, their) = (ours.first().await?, theirs.first().await?);
            let order = match (our, their) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(our), Some(their)) => our.path.cmp(&their.path),
            };
            let our = if order.is_le() { ours.next() } else { None };
            let their = if order.is_ge() { theirs.next() } else { None };
            match (our, their) {
                (Some(our), their) if their.as_ref() != Some(&our) => {
                    self.add(CatalogChange::Publish(our), their.is_some()).await?;
                }
                (None, Some(their)) => self.add(CatalogChange::Withdraw(their.path), true).await?,
                _ => {}
            }
        }
        self.flush().await?;
        self.report.total.get_or_insert(theirs.count());
        Ok(self.report)
    }

    /// Sends changes of which it is not known what the index has under their paths.
    pub(crate) async fn changes(
        mut self,
        changes: impl IntoIterator<Item = CatalogChange>,
    ) -> Result<PublishReport, PublishError> {
        for change in changes {
            self.add(change, true).await?;
        }
        self.flush().await?;
        Ok(self.report)
    }

    async fn add(&mut self, change: CatalogChange, is_known: bool) -> Result<(), PublishError> {
        let audience = match &change {
            CatalogChange::Publish(entry) => entry.visibility.clone(),
            CatalogChange::Withdraw(_) => {
                self.withdrawals.push(Change { change, is_known });
                return if self.withdrawals.len() < BATCH { Ok(()) } else { self.withdraw().await };
            }
        };
        let change = Change { change, is_known };
        let batch = match self.batches.iter_mut().find(|(of, _)| *of == audience) {
            Some((_, batch)) => {
                batch.push(change);
                if batch.len() < BATCH {
                    return Ok(());
                }
                std::mem::take(batch)
            }
            None => {
                self.batches.push((audience, vec![change]));
                return Ok(());
            }
        };
        self.send(&audience, batch).await
    }

    async fn flush(&mut self) -> Result<(), PublishError> {
        for (audience, batch) in std::mem::take(&mut self.batches) {
            self.send(&audience, batch).await?;
        }
        self.withdraw().await
    }

    async fn withdraw(&mut self) -> Result<(), PublishError> {
        let gone = std::mem::take(&mut self.withdrawals);
        self.send_parts(&Visibility::Public, None, gone).await
    }

    async fn send(
        &mut self,
        audience: &Visibility,
        batch: Vec<Change>,
    ) -> Result<(), PublishError> {
        self.withdraw().await?;
        let reach = match audience {
            Visibility::Group(group) => match self.groups.get(group) {
                Some(reach) => Some(*reach),
                // Whoever has the name at the moment may be somebody else.
                None => return self.refuse(audience, None, batch, UNSTATED).await,
            },
            _ => None,
        };
        self.send_parts(audience, reach, batch).await
    }

    /// Sends changes together, or in parts where some keep others from being done.
    async fn send_parts(
        &mut self,
        audience: &Visibility,
        reach: Option<Reach>,
        changes: Vec<Change>,
    ) -> Result<(), PublishError> {
        // The last part is sent first.
        let mut parts = vec![changes];
        while let Some(mut part) = parts.pop() {
            if self.is_full && part.iter().any(|one| !one.is_known) {
                let new: Vec<_> = part.extract_if(.., |one| !one.is_known).collect();
                self.report.refuse(audience, reach, new.len() as u64, FULL);
            }
            if part.is_empty() {
                continue;
            }
            match self.try_send(audience, reach, &part).await? {
                Ok(()) => {}
                Err(Refusal::Full(reason)) => {
                    let (known, new): (Vec<_>, Vec<_>) =
                        part.into_iter().partition(|one| one.is_known);
                    match (known.is_empty(), new.len()) {
                        // What takes the place of something always fits, where that is known.
                        (_, 0) => {
                            self.report.refuse(audience, reach, known.len() as u64, &reason);
                        }
                        (true, 1) => {
                            self.is_full = true;
                            self.report.refuse(audience, reach, 1, &reason);
                        }
                        (true, _) => parts.extend(halves(new)),
                        (false, _) => parts.extend([new, known]),
                    }
                }
                Err(Refusal::Parts(reason)) if part.len() == 1 => {
                    self.refuse(audience, reach, part, &reason).await?;
                }
                Err(Refusal::Parts(_)) => parts.extend(halves(part)),
                Err(Refusal::Whole(reason)) => self.refuse(audience, reach, part, &reason).await?,
            }
        }
        Ok(())
    }

    /// Notes that files are not published, and withdraws what they were before: that may have been for others.
    async fn refuse(
        &mut self,
        audience: &Visibility,
        reach: Option<Reach>,
        changes: Vec<Change>,
        reason: &str,
    ) -> Result<(), PublishError> {
        // A peer that the index does not know is told apart from anything else that it does not find.
        entries(self.index, None, 1).await?;
        self.report.refuse(audience, reach, changes.len() as u64, reason);
        let known = changes.into_iter().filter(|one| one.is_known);
        let withdrawn: Vec<_> = known
            .map(|one| CatalogChange::Withdraw(one.change.path().clone()))
            .map(|change| Change { change, is_known: true })
            .collect();
        if withdrawn.is_empty() {
            return Ok(());
        }
        if self.try_send(&Visibility::Public, None, &withdrawn).await?.is_err() {
            tracing::warn!(reason, "the index did not withdraw what it did not publish");
        }
        Ok(())
    }

    async fn try_send(
        &mut self,
        audience: &Visibility,
        reach: Option<Reach>,
        changes: &[Change],
    ) -> Result<Result<(), Refusal>, PublishError> {
        let groups = match (audience, reach) {
            (Visibility::Group(group), Some(reach)) => {
                vec![GroupReach { group: group.clone(), reach }]
            }
            _ => Vec::new(),
        };
        let changes: Vec<_> = changes.iter().map(|one| one.change.clone()).collect();
        let new = changes.iter().filter(|change| matches!(change, CatalogChange::Publish(_)));
        let (all, new) = (changes.len(), new.count() as u64);
        match self.index.publish(&PublishRequest { changes, groups }).await {
            Ok(PublishAnswer { published, .. }) => {
                self.report.total = Some(published.total);
                self.report.published += new;
                self.report.withdrawn += published.withdrawn;
                Ok(Ok(()))
            }
            Err(error) => match error.kind() {
                Some(ProblemKind::QuotaExceeded) => Ok(Err(Refusal::Full(error.to_string()))),
                Some(ProblemKind::InvalidRequest) => Ok(Err(Refusal::Parts(error.to_string()))),
                Some(ProblemKind::Timeout) if all > FEWEST => {
                    Ok(Err(Refusal::Parts(error.to_string())))
                }
                Some(ProblemKind::NotFound | ProblemKind::Conflict) => {
                    Ok(Err(Refusal::Whole(error.to_string())))
                }
                _ => Err(PublishError::Index(error)),
            },
        }
    }
}

/// In the order in which they are taken from the end.
fn halves(mut all: Vec<Change>) -> [Vec<Change>; 2] {
    let second = all.split_off(all.len() / 2);
    [second, all]
}
