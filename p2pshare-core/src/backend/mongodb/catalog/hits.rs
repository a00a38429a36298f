//! Hits: all that is told of one content of one size.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mongodb::bson::{Document, doc};

use super::{online::Online, sight::Sight};
use crate::{
    api::Hit,
    backend::mongodb::{
        and, by,
        database::{MongoError, MongoResult, Reading},
        documents::{Bytes32, EntryDoc, size, user_name},
    },
    content::ContentId,
    index::{
        model::Viewer,
        search::{
            by_sources,
            scan::{BestNames, Candidate},
        },
    },
    time::Timestamp,
};

/// A hit, without its place.
pub(super) type Name = (ContentId, u64);

/// Contents in one question to the server.
const CONTENTS: usize = 1000;

/// The most entries that one answer of the server has.
const BATCH: u32 = 5000;

impl EntryDoc {
    pub(super) fn name(&self) -> MongoResult<Name> {
        Ok((self.content(), self.size()?))
    }

    pub(super) fn candidate(&self) -> MongoResult<Candidate<'_>> {
        Ok(Candidate {
            content: self.content(),
            size: self.size()?,
            published_at: self.at,
            words: u32::try_from(self.n).map_err(MongoError::corrupt)?,
            path: &self.key.t,
        })
    }
}

/// Hands over each entry of some contents that passes `filter`, whatever its size.
pub(super) async fn each_entry(
    reading: &mut Reading<'_>,
    contents: &[Bytes32],
    filter: &Document,
    mut each: impl FnMut(EntryDoc) -> MongoResult<()>,
) -> MongoResult<()> {
    for some in contents.chunks(CONTENTS) {
        let which = and(doc! { "c": { "$in": some } }, filter.clone());
        let find = reading.database.entries.find(which).hint(by("content"));
        let find = find.projection(doc! { "w": 0 }).batch_size(BATCH);
        let mut found = find.session(&mut reading.session).await?;
        while found.advance(&mut reading.session).await? {
            each(found.deserialize_current()?)?;
        }
    }
    Ok(())
}

/// The contents of some hits, each once.
pub(super) fn contents_of<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<Bytes32> {
    let contents: BTreeSet<Bytes32> =
        names.into_iter().map(|(content, _)| content.into()).collect();
    contents.into_iter().collect()
}

/// What makes one hit.
#[derive(Default)]
struct Parts {
    names: BestNames,
    newest: Option<i64>,
    peers: BTreeSet<Bytes32>,
}

impl Parts {
    fn add(&mut self, entry: &EntryDoc, relevance: Option<u32>) -> MongoResult<()> {
        self.peers.insert(entry.key.p);
        if let Some(relevance) = relevance {
            self.newest = self.newest.max(Some(entry.at));
            self.names.add(relevance, &entry.key.t, user_name(&entry.o)?);
        }
        Ok(())
    }

    /// The hit, unless none of its entries has a relevance.
    fn into_hit(self, (content, size): Name, online: &Online) -> MongoResult<Option<Hit>> {
        let Some(newest) = self.newest else {
            return Ok(None);
        };
        let count = |peers: usize| u32::try_from(peers).unwrap_or(u32::MAX);
        Ok(Some(Hit {
            content,
            size,
            names: self.names.into_names().map_err(MongoError::corrupt)?,
            published_at: Timestamp::from_millis(newest),
            online: count(self.peers.iter().filter(|peer| online.is_online(peer)).count()),
            sources: count(self.peers.len()),
        }))
    }
}

/// The hits of these names, in their order. Names and time of each come from the entries that have a relevance, sources
/// from all that pass `filter`.
pub(super) async fn gather(
    reading: &mut Reading<'_>,
    online: &mut Online,
    names: &[Name],
    filter: &Document,
    mut relevance: impl FnMut(&EntryDoc) -> MongoResult<Option<u32>>,
) -> MongoResult<Vec<Hit>> {
    let mut parts: HashMap<Name, Parts> =
        names.iter().map(|name| (*name, Parts::default())).collect();
    each_entry(reading, &contents_of(names), filter, |entry| {
        if let Some(parts) = parts.get_mut(&entry.name()?) {
            parts.add(&entry, relevance(&entry)?)?;
        }
        Ok(())
    })
    .await?;
    let peers: BTreeSet<Bytes32> = parts.values().flat_map(|parts| &parts.peers).copied().collect();
    online.look_up(reading, peers).await?;
    let mut hits = Vec::with_capacity(names.len());
    for name in names {
        if let Some(parts) = parts.remove(name) {
            hits.extend(parts.into_hit(*name, online)?);
        }
    }
    Ok(hits)
}

/// All hits of a content, in order of size.
pub(super) async fn of_content(
    reading: &mut Reading<'_>,
    viewer: &Viewer,
    content: &ContentId,
    online_since: Timestamp,
    limit: u32,
) -> MongoResult<Vec<Hit>> {
    let filter = Sight::of(viewer).reached();
    let mut sizes: BTreeMap<i64, Parts> = BTreeMap::new();
    each_entry(reading, &[content.into()], &filter, |entry| {
        sizes.entry(entry.s).or_default().add(&entry, Some(0))
    })
    .await?;
    let mut online = Online::new(online_since);
    let peers: BTreeSet<Bytes32> = sizes.values().flat_map(|parts| &parts.peers).copied().collect();
    online.look_up(reading, peers).await?;
    let mut hits = Vec::new();
    for (bytes, parts) in sizes {
        hits.extend(parts.into_hit((*content, size(bytes)?), &online)?);
    }
    hits.sort_by_key(by_sources);
    hits.truncate(limit as usize);
    Ok(hits)
}
