//! Publishing, searching, and being a source.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Caller, Index, IndexError, Thing,
    model::{LocateRequest, PartialSource},
    reach::Sight,
    search::{Cursor, Filter, Query, Search},
};
use crate::{
    api::{
        CatalogChange, CatalogPage, CatalogQuery, ContentDetails, Entry, GroupReach,
        MAX_PUBLISH_BATCH, PartialNoted, PublishAnswer, PublishRequest, SearchPage, SearchQuery,
        Visibility,
    },
    content::{ContentId, MAX_CONTENT_LEN},
    identity::{GroupName, PeerId},
    path::SharePath,
};

/// Most different sizes that are told of one content.
const SIZES_PER_CONTENT: u32 = 8;

/// A batch is for a group that is not the one that is meant.
const OTHER_GROUP: &str = "this is not the group of the name that it was shared with, which is gone or at another index: \
                           share it with the group anew (share --group … --new-group) if this one is meant";

/// Most extensions in a search.
const MAX_EXTENSIONS: usize = 32;

impl Index {
    /// Publishes and withdraws files of the caller's peer, in one batch: all or none.
    pub async fn publish(
        &self,
        caller: &Caller,
        peer: PeerId,
        request: &PublishRequest,
    ) -> Result<PublishAnswer, IndexError> {
        for (number, what) in [(request.changes.len(), "changes"), (request.groups.len(), "groups")]
        {
            if number > MAX_PUBLISH_BATCH {
                return Err(IndexError::Invalid(format!(
                    "a batch has at most {MAX_PUBLISH_BATCH} {what}"
                )));
            }
        }
        check_sizes(&request.changes)?;
        let reaches = self.reaches(caller, request).await?;
        self.check_entry_quota(caller, &peer, &request.changes).await?;
        let published =
            self.store().publish(&caller.user, &peer, &request.changes, self.now()).await?;
        let published = published.ok_or(IndexError::NotFound(Thing::Peer(peer)))?;
        // A group may have gone and its name been taken in between: then the peer is told, and withdraws what it published.
        if reaches != self.reaches(caller, request).await? {
            return Err(IndexError::Conflict(OTHER_GROUP));
        }
        Ok(PublishAnswer { published, reaches })
    }

    /// A page of what the caller's peer has published.
    pub async fn entries(
        &self,
        caller: &Caller,
        peer: PeerId,
        query: &CatalogQuery,
    ) -> Result<CatalogPage, IndexError> {
        self.own_peer(caller, &peer).await?;
        let limit = page(query.limit, 1000, 1000)?;
        let mut entries = self.store().entries(&peer, query.after.as_ref(), limit + 1).await?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        Ok(CatalogPage { entries, more })
    }

    /// Searches what the caller sees. Searches of one user take turns.
    pub async fn search(
        &self,
        caller: &Caller,
        query: &SearchQuery,
    ) -> Result<SearchPage, IndexError> {
        let mut search = Search {
            query: Query::parse(&query.q)?,
            filter: filter(query)?,
            sort: query.sort,
            after: None,
            limit: page(query.limit, 25, 100)?,
            online_since: self.online_since(),
        };
        if let Some(cursor) = &query.cursor {
            search.after = Some(Cursor::decode(cursor)?.position_in(&search)?);
        }
        let turn = self.inner.searches.take(&caller.user).await;
        let _turn =
            turn.ok_or(IndexError::Busy("too many of your searches wait for each other"))?;
        let viewer = self.viewer(caller).await?;
        let asked_at = Some(self.now());
        let slice = self.store().search(&viewer, &search).await?;
        let next = slice.next.map(|position| Cursor::new(position, &search).encode());
        Ok(SearchPage { hits: slice.hits, next, asked_at })
    }

    /// What the caller can know of a content.
    pub async fn content(
        &self,
        caller: &Caller,
        content: &ContentId,
    ) -> Result<ContentDetails, IndexError> {
        let viewer = self.viewer(caller).await?;
        let hits =
            self.store().content(&viewer, content, self.online_since(), SIZES_PER_CONTENT).await?;
        if hits.is_empty() {
            return Err(IndexError::NotFound(Thing::Content));
        }
        Ok(ContentDetails { hits })
    }

    /// The caller's peer holds part of a content, which they can reach, and serves it.
    ///
    /// It is told to those who are in all the groups in which the caller finds the content, whoever else shares it: so
    /// nobody gets to know that a group's member downloads it by sharing it too, with everybody or with a group of their
    /// own.
    pub async fn add_partial_source(
        &self,
        caller: &Caller,
        peer: PeerId,
        content: &ContentId,
    ) -> Result<PartialNoted, IndexError> {
        let sight = self.sight(caller).await?;
        let groups = self.groups_with(&sight, content).await?;
        let until = self.now().saturating_add(self.config().partial_lifetime);
        let partial = PartialSource { content: *content, until, groups };
        let noted = self.store().add_partial_source(&caller.user, &peer, &partial).await?;
        let groups = noted.ok_or(IndexError::NotFound(Thing::Peer(peer)))?;
        // Only if the caller has joined a group, and the content has come to be in it, since they were looked up.
        let reach = sight.reach(&groups).ok_or(IndexError::NotFound(Thing::Content))?;
        Ok(PartialNoted { reach })
    }

    /// The groups in which a content is found.
    async fn groups_with(
        &self,
        sight: &Sight,
        content: &ContentId,
    ) -> Result<Vec<GroupName>, IndexError> {
        let request = LocateRequest {
            contents: vec![*content],
            online_since: self.online_since(),
            now: self.now(),
            limit: 0,
            pivot: PeerId::from_bytes([0; 32]),
        };
        let found = self.store().locate(&sight.viewer, &request).await?.pop();
        Ok(found.ok_or(IndexError::NotFound(Thing::Content))?.groups)
    }

    /// The caller's peer no longer serves part of a content.
    pub async fn remove_partial_source(
        &self,
        caller: &Caller,
        peer: PeerId,
        content: &ContentId,
    ) -> Result<(), IndexError> {
        if self.store().remove_partial_source(&caller.user, &peer, content).await? {
            Ok(())
        } else {
            Err(IndexError::NotFound(Thing::PartialSource))
        }
    }

    /// The reaches of the groups that a batch publishes to. Who publishes to a group must be in it, and it must be the one
    /// that is meant.
    async fn reaches(
        &self,
        caller: &Caller,
        request: &PublishRequest,
    ) -> Result<Vec<GroupReach>, IndexError> {
        let groups: BTreeSet<&GroupName> = published(&request.changes)
            .filter_map(|entry| match &entry.visibility {
                Visibility::Group(group) => Some(group),
                Visibility::Public | Visibility::Unlisted => None,
            })
            .collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let sight = self.sight(caller).await?;
        let reach = |group: &GroupName| {
            let reach = sight.reach(std::slice::from_ref(group));
            let reach = reach.ok_or_else(|| IndexError::NotFound(Thing::Group(group.clone())))?;
            let mut meant = request.groups.iter().filter(|meant| meant.group == *group);
            if meant.any(|meant| meant.reach != reach) {
                return Err(IndexError::Conflict(OTHER_GROUP));
            }
            Ok(GroupReach { group: group.clone(), reach })
        };
        groups.into_iter().map(reach).collect()
    }

    /// Refuses what would take a user over their quota; never a batch after which they have no more entries than before.
    /// Batches that run at the same time can pass it together by less than a batch each: a quota bounds the index's
    /// size, it is no promise to the byte.
    async fn check_entry_quota(
        &self,
        caller: &Caller,
        peer: &PeerId,
        changes: &[CatalogChange],
    ) -> Result<(), IndexError> {
        let limit = self.config().entries_per_user;
        // The last change of a path says whether it is there afterwards.
        let paths: BTreeMap<&SharePath, bool> = changes
            .iter()
            .map(|change| (change.path(), matches!(change, CatalogChange::Publish(_))))
            .collect();
        let after = paths.values().filter(|is_there| **is_there).count() as u64;
        if after == 0 {
            return Ok(());
        }
        let total = self.store().count_user_entries(&caller.user).await?;
        if total.saturating_add(after) <= limit {
            return Ok(());
        }
        let paths: BTreeSet<SharePath> = paths.into_keys().cloned().collect();
        let before = self.store().count_known_paths(&caller.user, peer, &paths).await?;
        let new = after.saturating_sub(before);
        if new > 0 && total.saturating_add(new) > limit {
            return Err(IndexError::Quota { what: "published files", limit });
        }
        Ok(())
    }
}

/// The entries that changes publish.
fn published(changes: &[CatalogChange]) -> impl Iterator<Item = &Entry> {
    changes.iter().filter_map(|change| match change {
        CatalogChange::Publish(entry) => Some(entry),
        CatalogChange::Withdraw(_) => None,
    })
}

/// No file is larger than a manifest can describe.
fn check_sizes(changes: &[CatalogChange]) -> Result<(), IndexError> {
    match published(changes).find(|entry| entry.size > MAX_CONTENT_LEN) {
        None => Ok(()),
        Some(entry) => Err(IndexError::Invalid(format!(
            "{} has {} bytes; a shared file has at most {MAX_CONTENT_LEN}",
            entry.path, entry.size
        ))),
    }
}

/// The size of a page: what was asked, if it is within bounds.
pub(super) fn page(asked: Option<u32>, default: u32, most: u32) -> Result<u32, IndexError> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(IndexError::Invalid(format!("limit is {limit}; it can be 1 to {most}"))),
    }
}

fn filter(query: &SearchQuery) -> Result<Filter, IndexError> {
    let extensions: Vec<String> = query
        .ext
        .iter()
        .flat_map(|list| list.split(','))
        .map(|one| one.trim().trim_start_matches('.').to_lowercase())
        .filter(|one| !one.is_empty())
        .collect();
    if extensions.len() > MAX_EXTENSIONS {
        return Err(IndexError::Invalid(format!(
            "a search has at most {MAX_EXTENSIONS} extensions"
        )));
    }
    Ok(Filter {
        extensions,
        kind: query.kind,
        min_size: query.min_size,
        max_size: query.max_size,
        owner: query.owner.clone(),
        since: query.since,
    })
}
