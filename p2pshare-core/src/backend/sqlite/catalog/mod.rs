//! What is shared: the trait here, each question in its own file.

mod browse;
mod entries;
mod hits;
mod locate;
mod publish;
mod search;
mod sight;
mod sources;
mod streams;
mod words;

use async_trait::async_trait;
use rusqlite::Connection;

use super::{SqliteStore, rows};
use crate::{
    api::{CatalogChange, Entry, FileListing, Hit, Published, UserFile},
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        model::{LocateRequest, Location, Viewer},
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

    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<(ContentId, Timestamp)>> {
        let peer = *peer;
        let read = move |c: &Connection| {
            let sql = "SELECT s.content, s.until FROM peers p JOIN partial_sources s ON s.peer = p.id \
                       WHERE p.peer = ?1 ORDER BY s.content";
            let mut statement = c.prepare_cached(sql)?;
            rows::collect(statement.query([peer.as_bytes()])?, |row| {
                Ok((rows::content(row, 0)?, rows::time(row, 1)?))
            })
        };
        Ok(self.database.read(read).await?)
    }

    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64> {
        let peer = *peer;
        Ok(self.database.read(move |c| entries::count_of_peer(c, &peer)).await?)
    }

    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64> {
        let owner = owner.clone();
        Ok(self.database.read(move |c| entries::count_of_user(c, &owner)).await?)
    }

    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice> {
        let (viewer, search) = (viewer.clone(), search.clone());
        Ok(self.database.read(move |c| search::search(c, &viewer, &search)).await?)
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
        Ok(self.database.read(read).await?)
    }

    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>> {
        let (viewer, request) = (viewer.clone(), request.clone());
        Ok(self.database.read(move |c| locate::locate(c, &viewer, &request)).await?)
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
        Ok(self.database.read(read).await?)
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
        Ok(self.database.read(read).await?)
    }

    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
        until: Timestamp,
    ) -> StoreResult<bool> {
        let (owner, peer, content) = (owner.clone(), *peer, *content);
        let add = move |c: &Connection| {
            let sql = "INSERT INTO partial_sources (content, peer, until) \
                       SELECT ?3, p.id, ?4 FROM peers p JOIN users u ON u.id = p.owner \
                       WHERE p.peer = ?1 AND u.name = ?2 AND p.last_seen IS NOT NULL \
                       ON CONFLICT DO UPDATE SET until = excluded.until";
            let parameters =
                (peer.as_bytes(), owner.as_str(), content.as_bytes(), until.as_millis());
            Ok(rows::execute(c, sql, parameters)? > 0)
        };
        Ok(self.database.write(add).await?)
    }

    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool> {
        let (owner, peer, content) = (owner.clone(), *peer, *content);
        let remove = move |c: &Connection| {
            let Some(peer) = rows::own_peer_id(c, &owner, &peer)? else {
                return Ok(false);
            };
            let sql = "DELETE FROM partial_sources WHERE content = ?1 AND peer = ?2";
            Ok(rows::execute(c, sql, (content.as_bytes(), peer))? > 0)
        };
        Ok(self.database.write(remove).await?)
    }
}
