//! Publishing, searching, and being a source.

use super::{
    Caller, Index, IndexError, Thing,
    search::{Cursor, Filter, Query, Search},
};
use crate::{
    api::{
        CatalogChange, CatalogPage, CatalogQuery, ContentDetails, MAX_PUBLISH_BATCH,
        PublishRequest, Published, SearchPage, SearchQuery, Visibility,
    },
    content::{ContentId, MAX_CONTENT_LEN},
    identity::PeerId,
};

/// Most different sizes that are told of one content.
const SIZES_PER_CONTENT: u32 = 8;

/// Most extensions in a search.
const MAX_EXTENSIONS: usize = 32;

impl Index {
    /// Publishes and withdraws files of the caller's peer, in one batch: all or none.
    pub async fn publish(
        &self,
        caller: &Caller,
        peer: PeerId,
        request: &PublishRequest,
    ) -> Result<Published, IndexError> {
        if request.changes.len() > MAX_PUBLISH_BATCH {
            return Err(IndexError::Invalid(format!(
                "a batch has at most {MAX_PUBLISH_BATCH} changes"
            )));
        }
        self.check_changes(caller, &request.changes).await?;
        self.check_entry_quota(caller, &request.changes).await?;
        let published =
            self.store().publish(&caller.user, &peer, &request.changes, self.now()).await?;
        published.ok_or(IndexError::NotFound(Thing::Peer(peer)))
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

    /// Searches what the caller sees.
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
        let viewer = self.viewer(caller).await?;
        let slice = self.store().search(&viewer, &search).await?;
        let next = slice.next.map(|position| Cursor::new(position, &search).encode());
        Ok(SearchPage { hits: slice.hits, next })
    }

    /// What the caller can know of a content.
    pub async fn content(
        &self,
        caller: &Caller,
        content: &ContentId,
    ) -> Result<ContentDetails, IndexError> {
        let viewer = self.viewer(caller).await?;
        let mut hits =
            self.store().content(&viewer, content, self.online_since(), SIZES_PER_CONTENT).await?;
        if hits.is_empty() {
            return Err(IndexError::NotFound(Thing::Content));
        }
        hits.sort_by_key(|hit| (std::cmp::Reverse((hit.sources, hit.online)), hit.size));
        Ok(ContentDetails { hits })
    }

    /// The caller's peer holds part of a content, which they can reach, and serves it.
    pub async fn add_partial_source(
        &self,
        caller: &Caller,
        peer: PeerId,
        content: &ContentId,
    ) -> Result<(), IndexError> {
        let viewer = self.viewer(caller).await?;
        if self.store().content(&viewer, content, self.online_since(), 1).await?.is_empty() {
            return Err(IndexError::NotFound(Thing::Content));
        }
        let until = self.now().saturating_add(self.config().partial_lifetime);
        if self.store().add_partial_source(&caller.user, &peer, content, until).await? {
            Ok(())
        } else {
            Err(IndexError::NotFound(Thing::Peer(peer)))
        }
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

    /// Who publishes to a group must be in it, and no file is larger than a manifest can describe.
    async fn check_changes(
        &self,
        caller: &Caller,
        changes: &[CatalogChange],
    ) -> Result<(), IndexError> {
        let mut viewer = None;
        for change in changes {
            let CatalogChange::Publish(entry) = change else {
                continue;
            };
            if entry.size > MAX_CONTENT_LEN {
                return Err(IndexError::Invalid(format!(
                    "{} has {} bytes; a shared file has at most {MAX_CONTENT_LEN}",
                    entry.path, entry.size
                )));
            }
            if let Visibility::Group(group) = &entry.visibility {
                if viewer.is_none() {
                    viewer = Some(self.viewer(caller).await?);
                }
                if !viewer.as_ref().is_some_and(|viewer| viewer.groups.contains(group)) {
                    return Err(IndexError::NotFound(Thing::Group(group.clone())));
                }
            }
        }
        Ok(())
    }

    /// Refuses what would take a user over their quota. Batches that run at the same time can pass it together by less
    /// than a batch each: a quota bounds the index's size, it is no promise to the byte.
    async fn check_entry_quota(
        &self,
        caller: &Caller,
        changes: &[CatalogChange],
    ) -> Result<(), IndexError> {
        let limit = self.config().entries_per_user;
        let new =
            changes.iter().filter(|change| matches!(change, CatalogChange::Publish(_))).count()
                as u64;
        if new > 0
            && self.store().count_user_entries(&caller.user).await?.saturating_add(new) > limit
        {
            return Err(IndexError::Quota { what: "published files", limit });
        }
        Ok(())
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
    })
}
