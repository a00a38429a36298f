//! Publishing what is in no catalog.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
    error::Error,
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{CatalogChange, Entry, GroupReach, ProblemKind, PublishRequest, Visibility},
    identity::{GroupName, Reach},
    path::SharePath,
};

use super::{CatalogIndex, PublishError, PublishReport, index::entries};

/// Entries that are asked for at a time.
const PAGE: u16 = 1000;

/// Changes that are sent at a time.
const BATCH: usize = 250;

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

/// The groups that were published to by their name, as the index told them: a later group of the name is another.
pub(crate) type Groups = BTreeMap<GroupName, Reach>;

/// Sends changes to an index. Each path may come once.
pub(crate) struct Sending<'a> {
    index: &'a dyn CatalogIndex,
    groups: &'a mut Groups,
    report: PublishReport,
    /// What waits until it is enough for a batch. A batch is done whole or not at all, so there is one for each audience.
    batches: Vec<(Visibility, Vec<CatalogChange>)>,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(index: &'a dyn CatalogIndex, groups: &'a mut Groups) -> Self {
        Self { index, groups, report: PublishReport::default(), batches: Vec::new() }
    }

    /// Compares all that the index has with all that is in a collection, and sends what differs.
    pub(crate) async fn compare(
        &mut self,
        collection: &dyn Collection,
    ) -> Result<(), PublishError> {
        let mut ours = Ours::of(collection);
        let mut theirs = Theirs::of(self.index);
        loop {
            let (our, their) = (ours.first().await?, theirs.first().await?);
            let order = match (our, their) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(our), Some(their)) => our.path.cmp(&their.path),
            };
            let our = if order.is_le() { ours.page.pop_front() } else { None };
            let their = if order.is_ge() { theirs.page.pop_front() } else { None };
            match (our, their) {
                (Some(our), their) if their.as_ref() != Some(&our) => {
                    self.add(CatalogChange::Publish(our)).await?;
                }
                (None, Some(their)) => self.add(CatalogChange::Withdraw(their.path)).await?,
                _ => {}
            }
        }
        self.flush().await?;
        self.report.total.get_or_insert(theirs.count);
        Ok(())
    }

    /// Sends a change, at the latest with [`end`](Self::end).
    pub(crate) async fn add(&mut self, change: CatalogChange) -> Result<(), PublishError> {
        let audience = match &change {
            CatalogChange::Publish(entry) => entry.visibility.clone(),
            CatalogChange::Withdraw(_) => Visibility::Public,
        };
        let batch = self.batches.iter_mut().find(|(of, _)| *of == audience);
        match batch {
            Some((_, batch)) if batch.len() + 1 == BATCH => {
                let mut batch = std::mem::take(batch);
                batch.push(change);
                self.send(&audience, batch).await?;
            }
            Some((_, batch)) => batch.push(change),
            None => self.batches.push((audience, vec![change])),
        }
        Ok(())
    }

    /// Sends what is left, and says what was done.
    pub(crate) async fn end(mut self) -> Result<PublishReport, PublishError> {
        self.flush().await?;
        Ok(self.report)
    }

    async fn flush(&mut self) -> Result<(), PublishError> {
        for (audience, batch) in std::mem::take(&mut self.batches) {
            if !batch.is_empty() {
                self.send(&audience, batch).await?;
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        audience: &Visibility,
        changes: Vec<CatalogChange>,
    ) -> Result<(), PublishError> {
        let reach = match audience {
            Visibility::Group(group) => self.groups.get(group).copied(),
            _ => None,
        };
        let paths: Vec<SharePath> = changes.iter().map(|change| change.path().clone()).collect();
        let refused = match self.try_send(audience, reach, changes).await? {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        // A peer that the index does not know is told apart from anything else that it does not find.
        entries(self.index, None, 1).await?;
        self.report.refuse(audience, reach, paths.len() as u64, &refused);
        // What these were before may have been for others.
        let withdrawn = paths.into_iter().map(CatalogChange::Withdraw).collect();
        match self.try_send(&Visibility::Public, None, withdrawn).await? {
            Ok(()) => Ok(()),
            Err(refused) => {
                tracing::warn!(refused, "the index did not withdraw what it did not publish");
                Ok(())
            }
        }
    }

    /// The inner error is the word of an index that refuses the batch for what it is.
    async fn try_send(
        &mut self,
        audience: &Visibility,
        reach: Option<Reach>,
        changes: Vec<CatalogChange>,
    ) -> Result<Result<(), String>, PublishError> {
        let groups = match (audience, reach) {
            (Visibility::Group(group), Some(reach)) => {
                vec![GroupReach { group: group.clone(), reach }]
            }
            _ => Vec::new(),
        };
        let new = changes.iter().filter(|change| matches!(change, CatalogChange::Publish(_)));
        let (all, new) = (changes.len() as u64, new.count() as u64);
        match self.index.publish(&PublishRequest { changes, groups }).await {
            Ok(answer) => {
                self.report.total = Some(answer.published.total);
                self.report.published += new;
                self.report.withdrawn += all - new;
                self.groups.extend(answer.reaches.into_iter().map(|told| (told.group, told.reach)));
                Ok(Ok(()))
            }
            Err(error) => match error.kind() {
                Some(
                    ProblemKind::QuotaExceeded | ProblemKind::NotFound | ProblemKind::Conflict,
                ) => Ok(Err(error.to_string())),
                _ => Err(PublishError::Index(error)),
            },
        }
    }
}

/// A collection, page by page.
struct Ours<'a> {
    collection: &'a dyn Collection,
    page: VecDeque<Entry>,
    last: Option<SharePath>,
    is_all: bool,
}

impl<'a> Ours<'a> {
    fn of(collection: &'a dyn Collection) -> Self {
        Self { collection, page: VecDeque::new(), last: None, is_all: false }
    }

    async fn first(&mut self) -> Result<Option<&Entry>, PublishError> {
        if self.page.is_empty() && !self.is_all {
            let page = self.collection.entries(self.last.as_ref(), PAGE).await;
            self.page = page.map_err(PublishError::Collection)?.into();
            self.is_all = self.page.is_empty();
            for entry in &self.page {
                if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
                    let path = entry.path.clone();
                    return Err(PublishError::Collection(format!("{path} is out of order").into()));
                }
                self.last = Some(entry.path.clone());
            }
        }
        Ok(self.page.front())
    }
}

/// What an index has of the peer, page by page.
struct Theirs<'a> {
    index: &'a dyn CatalogIndex,
    page: VecDeque<Entry>,
    last: Option<SharePath>,
    is_all: bool,
    count: u64,
}

impl<'a> Theirs<'a> {
    fn of(index: &'a dyn CatalogIndex) -> Self {
        Self { index, page: VecDeque::new(), last: None, is_all: false, count: 0 }
    }

    async fn first(&mut self) -> Result<Option<&Entry>, PublishError> {
        if self.page.is_empty() && !self.is_all {
            let page = entries(self.index, self.last.clone(), PAGE.into()).await?;
            // A list that does not go on has ended, whatever its index says.
            let first = page.entries.first().map(|first| &first.path);
            let goes_on = first.is_some_and(|first| Some(first) > self.last.as_ref());
            self.page = if goes_on { page.entries.into() } else { VecDeque::new() };
            self.is_all = !(goes_on && page.more);
            self.last = self.page.back().map(|last| last.path.clone());
            self.count += self.page.len() as u64;
        }
        Ok(self.page.front())
    }
}
