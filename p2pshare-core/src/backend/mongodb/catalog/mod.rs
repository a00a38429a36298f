//! What is shared: the trait here, each question in its own file.

mod browse;
mod hits;
mod locate;
mod online;
mod partial;
mod plan;
mod publish;
mod search;
mod sight;

use std::collections::BTreeSet;

use async_trait::async_trait;
use mongodb::bson::{Bson, doc};

pub(super) use publish::{forget, forget_some};

use super::{
    MongoStore, by,
    database::{MongoError, patiently, read, transact},
    documents::{Bytes32, EntryDoc, PartialDoc, of_peer},
    many,
};
use crate::{
    api::{CatalogChange, Entry, FileListing, Hit, Published, UserFile},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{LocateRequest, Location, PartialSource, Viewer},
        search::{Search, SearchSlice},
        store::{CatalogStore, StoreResult},
    },
    path::SharePath,
    time::Timestamp,
};

#[async_trait]
impl CatalogStore for MongoStore {
    async fn publish(
        &self,
        owner: &Username,
        peer: &PeerId,
        changes: &[CatalogChange],
        now: Timestamp,
    ) -> StoreResult<Option<Published>> {
        Ok(transact!(&self.database, publish::publish, owner, peer, changes, now))
    }

    async fn entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<Entry>> {
        let dated = self.dated_entries(peer, after, limit).await?;
        Ok(dated.into_iter().map(|(entry, _)| entry).collect())
    }

    async fn dated_entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<(Entry, Timestamp)>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let peer = Bytes32::from(peer);
        let which = match after {
            None => of_peer(peer),
            Some(after) => doc! { "_id": {
                "$gt": { "p": peer, "t": after.as_str() },
                "$lt": { "p": peer, "t": Bson::MaxKey },
            } },
        };
        let find = || {
            let found = self.database.entries.find(which.clone()).sort(doc! { "_id": 1 });
            found.limit(limit.into()).projection(doc! { "w": 0 })
        };
        let dated = |entry: EntryDoc| {
            let at = Timestamp::from_millis(entry.at);
            Ok((entry.into_entry()?, at))
        };
        Ok(many(find, dated).await?)
    }

    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<PartialSource>> {
        let which = doc! { "_id.p": Bytes32::from(peer), "groups": { "$exists": true } };
        let find = || self.database.partials.find(which.clone()).hint(by("peer"));
        let mut held = many(find, PartialDoc::into_model).await?;
        held.sort_unstable_by_key(|partial| partial.content);
        Ok(held)
    }

    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64> {
        let peers = &self.database.peers;
        let found = patiently(|| peers.find_one(doc! { "_id": Bytes32::from(peer) })).await?;
        let entries = found.map_or(0, |peer| peer.entries);
        Ok(u64::try_from(entries).map_err(MongoError::corrupt)?)
    }

    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64> {
        let find = || self.database.peers.find(doc! { "owner": owner.as_str() });
        let entries = many(find, |peer| u64::try_from(peer.entries).map_err(MongoError::corrupt));
        Ok(entries.await?.into_iter().sum())
    }

    async fn count_known_paths(
        &self,
        owner: &Username,
        peer: &PeerId,
        paths: &BTreeSet<SharePath>,
    ) -> StoreResult<u64> {
        let id = Bytes32::from(peer);
        let own = doc! { "_id": id, "owner": owner.as_str() };
        if patiently(|| self.database.peers.find_one(own.clone())).await?.is_none() {
            return Ok(0);
        }
        let keys: Vec<_> = paths.iter().map(|path| doc! { "p": id, "t": path.as_str() }).collect();
        let known = doc! { "_id": { "$in": keys } };
        Ok(patiently(|| self.database.entries.count_documents(known.clone())).await?)
    }

    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice> {
        Ok(read!(&self.database, search::search, viewer, search))
    }

    async fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Hit>> {
        Ok(read!(&self.database, hits::of_content, viewer, content, online_since, limit))
    }

    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>> {
        Ok(read!(&self.database, locate::locate, viewer, request))
    }

    async fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&UserFile>,
        limit: u32,
    ) -> StoreResult<Vec<UserFile>> {
        Ok(read!(&self.database, browse::files, viewer, owner, folder, after, limit))
    }

    async fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
        limit: u32,
    ) -> StoreResult<Vec<FileListing>> {
        Ok(read!(&self.database, browse::folder, viewer, owner, folder, after, limit))
    }

    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        partial: &PartialSource,
    ) -> StoreResult<Option<Vec<GroupName>>> {
        Ok(transact!(&self.database, partial::add, owner, peer, partial))
    }

    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool> {
        Ok(transact!(&self.database, partial::remove, owner, peer, content))
    }
}
