//! What is shared: the trait here, each question in its own file.

mod browse;
mod claims;
mod entries;
mod hits;
mod locate;
mod partial;
mod publish;
mod search;
mod sight;
mod sources;
mod streams;
mod words;

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::Connection;

use super::SqliteStore;
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

pub(super) use words::register_functions;

#[async_trait]
impl CatalogStore for SqliteStore {
    async fn publish(
        &self,
        owner: &Username,
        peer: &PeerId,
        changes: &[CatalogChange],
        now: Timestamp,
    ) -> StoreResult<Option<Published>> {
        let (owner, peer, changes) = (owner.clone(), *peer, changes.to_vec());
        let publish = move |c: &Connection| publish::publish(c, &owner, &peer, &changes, now);
        Ok(self.database.write(publish).await?)
    }

    async fn entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<Entry>> {
        let (peer, after) = (*peer, after.cloned());
        let read = move |c: &Connection| entries::of_peer(c, &peer, after.as_ref(), limit);
        Ok(self.database.read(read).await?)
    }

    async fn dated_entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<(Entry, Timestamp)>> {
        let (peer, after) = (*peer, after.cloned());
        let read = move |c: &Connection| entries::dated(c, &peer, after.as_ref(), limit);
        Ok(self.database.read(read).await?)
    }

    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<PartialSource>> {
        let peer = *peer;
        Ok(self.database.read(move |c| partial::of_peer(c, &peer)).await?)
    }

    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64> {
        let peer = *peer;
        Ok(self.database.read(move |c| entries::count_of_peer(c, &peer)).await?)
    }

    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64> {
        let owner = owner.clone();
        Ok(self.database.read(move |c| entries::count_of_user(c, &owner)).await?)
    }

    async fn count_known_paths(
        &self,
        owner: &Username,
        peer: &PeerId,
        paths: &BTreeSet<SharePath>,
    ) -> StoreResult<u64> {
        let (owner, peer, paths) = (owner.clone(), *peer, paths.clone());
        let read = move |c: &Connection| entries::count_known(c, &owner, &peer, &paths);
        Ok(self.database.read(read).await?)
    }

    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice> {
        let (viewer, search) = (viewer.clone(), search.clone());
        Ok(self.database.scan_all(move |c| search::search(c, &viewer, &search)).await?)
    }

    async fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Hit>> {
        let (viewer, content) = (viewer.clone(), *content);
        let read =
            move |c: &Connection| hits::of_content(c, &viewer, &content, online_since, limit);
        Ok(self.database.scan(read).await?)
    }

    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>> {
        let (viewer, request) = (viewer.clone(), request.clone());
        Ok(self.database.scan(move |c| locate::locate(c, &viewer, &request)).await?)
    }

    async fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&UserFile>,
        limit: u32,
    ) -> StoreResult<Vec<UserFile>> {
        let (viewer, owner) = (viewer.clone(), owner.clone());
        let (folder, after) = (folder.cloned(), after.cloned());
        let read = move |c: &Connection| {
            browse::files(c, &viewer, &owner, folder.as_ref(), after.as_ref(), limit)
        };
        Ok(self.database.scan(read).await?)
    }

    async fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
        limit: u32,
    ) -> StoreResult<Vec<FileListing>> {
        let (viewer, owner) = (viewer.clone(), owner.clone());
        let (folder, after) = (folder.cloned(), after.cloned());
        let read = move |c: &Connection| {
            browse::folder(c, &viewer, &owner, folder.as_ref(), after.as_ref(), limit)
        };
        Ok(self.database.scan(read).await?)
    }

    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        partial: &PartialSource,
    ) -> StoreResult<Option<Vec<GroupName>>> {
        let (owner, peer, partial) = (owner.clone(), *peer, partial.clone());
        Ok(self.database.write(move |c| partial::add(c, &owner, &peer, &partial)).await?)
    }

    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool> {
        let (owner, peer, content) = (owner.clone(), *peer, *content);
        Ok(self.database.write(move |c| partial::remove(c, &owner, &peer, &content)).await?)
    }
}
