//! Where contents are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use rusqlite::Connection;

use super::sight::Sight;
use crate::{
    api::{Source, SourceKind},
    backend::sqlite::{database::DatabaseResult, peers, rows},
    content::ContentId,
    identity::{PeerAddr, PeerId, Username},
    index::model::{LocateRequest, Location, Viewer},
};

pub(super) fn locate(
    connection: &Connection,
    viewer: &Viewer,
    request: &LocateRequest,
) -> DatabaseResult<Vec<Location>> {
    let mut locating = Locating {
        connection,
        sight: Sight::of(connection, viewer)?,
        request,
        peers: HashMap::new(),
        contacts: HashMap::new(),
    };
    let mut asked = HashSet::new();
    let mut found = Vec::new();
    for content in request.contents.iter().filter(|content| asked.insert(**content)) {
        found.extend(locating.locate(content)?);
    }
    Ok(found)
}

struct Locating<'a> {
    connection: &'a Connection,
    sight: Sight,
    request: &'a LocateRequest,
    /// Peers that were looked up for this request: the id of each that can be reached.
    peers: HashMap<i64, Option<PeerId>>,
    /// Whose peer it is and where it is, of those that are in an answer.
    contacts: HashMap<i64, (Username, Vec<PeerAddr>)>,
}

impl Locating<'_> {
    fn locate(&mut self, content: &ContentId) -> DatabaseResult<Option<Location>> {
        let claims = self.claims(content)?;
        let largest = claims.iter().max_by_key(|(size, peers)| (peers.len(), Reverse(**size)));
        let Some(size) = largest.map(|(size, _)| *size) else {
            return Ok(None);
        };
        let full: BTreeSet<i64> = claims.into_values().flatten().collect();
        let total = u32::try_from(full.len()).unwrap_or(u32::MAX);
        // A peer that is both is a full source.
        let mut kinds: HashMap<i64, SourceKind> = self.partial_sources(content)?;
        kinds.extend(full.iter().map(|peer| (*peer, SourceKind::Full)));
        Ok(Some(Location {
            content: *content,
            size,
            total,
            sources: self.beginning_at_pivot(&kinds)?,
        }))
    }

    /// For each size that is claimed, the peers that claim it and can be known of.
    fn claims(&self, content: &ContentId) -> DatabaseResult<BTreeMap<u64, BTreeSet<i64>>> {
        let sql = "SELECT size, peer, owner, scope FROM entries INDEXED BY entries_content WHERE content = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([content.as_bytes()])?;
        let mut claims: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            if self.sight.reaches(row.get(2)?, row.get(3)?) {
                let peers = claims.entry(rows::size(row, 0)?).or_default();
                peers.insert(row.get(1)?);
            }
        }
        Ok(claims)
    }

    fn partial_sources(&self, content: &ContentId) -> DatabaseResult<HashMap<i64, SourceKind>> {
        let sql = "SELECT peer FROM partial_sources WHERE content = ?1 AND until > ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query((content.as_bytes(), self.request.now.as_millis()))?;
        let peers = rows::collect(rows, |row| Ok((row.get(0)?, SourceKind::Partial)))?;
        Ok(peers.into_iter().collect())
    }

    /// Those that can be reached, around the circle of ids.
    fn beginning_at_pivot(
        &mut self,
        kinds: &HashMap<i64, SourceKind>,
    ) -> DatabaseResult<Vec<Source>> {
        let mut circle = BTreeMap::new();
        for (row, kind) in kinds {
            if let Some(id) = self.reachable(*row)? {
                circle.insert((id < self.request.pivot, id), (*row, *kind));
            }
        }
        let wanted = circle.into_iter().take(self.request.limit as usize);
        wanted.map(|((_, peer), (row, kind))| self.source(peer, row, kind)).collect()
    }

    /// The id of a peer that is online and has an address.
    fn reachable(&mut self, row: i64) -> DatabaseResult<Option<PeerId>> {
        if let Some(known) = self.peers.get(&row) {
            return Ok(*known);
        }
        let sql = "SELECT peer FROM peers WHERE id = ?1 AND last_seen >= ?2 AND addresses <> '[]'";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((row, self.request.online_since.as_millis()))?;
        let found = rows.next()?.map(|row| rows::bytes(row, 0)).transpose()?;
        let found = found.map(PeerId::from_bytes);
        self.peers.insert(row, found);
        Ok(found)
    }

    fn source(&mut self, peer: PeerId, row: i64, kind: SourceKind) -> DatabaseResult<Source> {
        let (owner, addresses) = match self.contacts.get(&row) {
            Some(known) => known.clone(),
            None => {
                let contact = self.contact(row)?;
                self.contacts.insert(row, contact.clone());
                contact
            }
        };
        Ok(Source { peer, owner, addresses, kind })
    }

    fn contact(&self, row: i64) -> DatabaseResult<(Username, Vec<PeerAddr>)> {
        let sql = "SELECT u.name, p.addresses FROM peers p JOIN users u ON u.id = p.owner WHERE p.id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([row])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok((rows::text(row, 0)?, peers::addresses(row, 1)?))
    }
}
