//! Where contents are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use rusqlite::Connection;

use super::{
    claims::each_claim,
    partial,
    sight::{PUBLIC, Sight, UNLISTED},
};
use crate::{
    api::SourceKind,
    backend::sqlite::{database::DatabaseResult, peers, rows},
    content::ContentId,
    identity::{GroupName, PeerAddr, PeerId, Username},
    index::model::{FoundSource, LocateRequest, Location, Viewer},
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
        groups: HashMap::new(),
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
    /// The names of groups that were looked up.
    groups: HashMap<i64, GroupName>,
}

/// How much a peer has, and the groups that the viewer is told so for.
type Held = (SourceKind, Vec<GroupName>);

/// Who can be known to share a content.
#[derive(Default)]
struct Claims {
    /// For each size that is claimed, the peers that claim it.
    sizes: BTreeMap<u64, BTreeSet<i64>>,
    /// For each peer the groups that it shares the content with; `None`, which comes first: with everybody.
    full: BTreeMap<i64, BTreeSet<Option<GroupName>>>,
}

impl Locating<'_> {
    fn locate(&mut self, content: &ContentId) -> DatabaseResult<Option<Location>> {
        let Claims { sizes, full } = self.claims(content)?;
        let largest = sizes.iter().max_by_key(|(size, peers)| (peers.len(), Reverse(**size)));
        let Some(size) = largest.map(|(size, _)| *size) else {
            return Ok(None);
        };
        let total = u32::try_from(full.len()).unwrap_or(u32::MAX);
        let groups: BTreeSet<&GroupName> = full.values().flatten().flatten().collect();
        let groups = groups.into_iter().cloned().collect();
        // A peer that is both is a full source.
        let mut held = self.partial_sources(content)?;
        held.extend(full.into_iter().map(|(peer, groups)| {
            let first = groups.into_iter().next().flatten();
            (peer, (SourceKind::Full, Vec::from_iter(first)))
        }));
        Ok(Some(Location {
            content: *content,
            size,
            total,
            groups,
            sources: self.beginning_at_pivot(&held)?,
        }))
    }

    fn claims(&mut self, content: &ContentId) -> DatabaseResult<Claims> {
        let mut claims = Claims::default();
        each_claim(self.connection, content, None, |claim| {
            if self.sight.reaches(claim.owner, claim.scope) {
                let group = match claim.scope {
                    PUBLIC | UNLISTED => None,
                    group => Some(self.group(group)?),
                };
                claims.full.entry(claim.peer).or_default().insert(group);
                claims.sizes.entry(claim.size).or_default().insert(claim.peer);
            }
            Ok(())
        })?;
        Ok(claims)
    }

    fn partial_sources(&mut self, content: &ContentId) -> DatabaseResult<HashMap<i64, Held>> {
        let told = partial::told_to(self.connection, &self.sight, content, self.request.now)?;
        let mut held = HashMap::with_capacity(told.len());
        for (peer, groups) in told {
            let names: DatabaseResult<BTreeSet<_>> =
                groups.into_iter().map(|group| self.group(group)).collect();
            held.insert(peer, (SourceKind::Partial, names?.into_iter().collect()));
        }
        Ok(held)
    }

    /// The name of a group.
    fn group(&mut self, row: i64) -> DatabaseResult<GroupName> {
        if let Some(known) = self.groups.get(&row) {
            return Ok(known.clone());
        }
        let mut statement =
            self.connection.prepare_cached("SELECT name FROM groups WHERE id = ?1")?;
        let mut rows = statement.query([row])?;
        let found = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let name: GroupName = rows::text(found, 0)?;
        self.groups.insert(row, name.clone());
        Ok(name)
    }

    /// Those that can be reached, around the circle of ids.
    fn beginning_at_pivot(
        &mut self,
        held: &HashMap<i64, Held>,
    ) -> DatabaseResult<Vec<FoundSource>> {
        let mut circle = BTreeMap::new();
        for (row, held) in held {
            if let Some(id) = self.reachable(*row)? {
                circle.insert((id < self.request.pivot, id), (*row, held));
            }
        }
        let wanted = circle.into_iter().take(self.request.limit as usize);
        wanted.map(|((_, peer), (row, held))| self.source(peer, row, held)).collect()
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

    fn source(&mut self, peer: PeerId, row: i64, held: &Held) -> DatabaseResult<FoundSource> {
        let (owner, addresses) = match self.contacts.get(&row) {
            Some(known) => known.clone(),
            None => {
                let contact = self.contact(row)?;
                self.contacts.insert(row, contact.clone());
                contact
            }
        };
        let (kind, groups) = held.clone();
        Ok(FoundSource { peer, owner, addresses, kind, groups })
    }

    fn contact(&self, row: i64) -> DatabaseResult<(Username, Vec<PeerAddr>)> {
        let sql = "SELECT u.name, p.addresses FROM peers p JOIN users u ON u.id = p.owner WHERE p.id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([row])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok((rows::text(row, 0)?, peers::addresses(row, 1)?))
    }
}
