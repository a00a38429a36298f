//! Publishing and withdrawing.

use std::collections::{BTreeSet, HashMap};

use mongodb::{
    bson::{Document, doc},
    options::{Hint, ReturnDocument},
};
use serde::Deserialize;

use crate::{
    api::{CatalogChange, Entry, Published},
    backend::mongodb::{
        by,
        database::{MongoError, MongoResult, Tx},
        documents::{Bytes32, EntryDoc, EntryKey, groups_of},
        peers::check_writes,
        users,
    },
    identity::{PeerId, Username},
    index::search::scan::PathWords,
    time::Timestamp,
};

pub(super) async fn publish(
    tx: &mut Tx<'_>,
    owner: &Username,
    peer: &PeerId,
    changes: &[CatalogChange],
    now: Timestamp,
) -> MongoResult<Option<Published>> {
    let peer = Bytes32::from(peer);
    let groups: Vec<&str> = groups_of(changes).into_iter().collect();
    if !groups.is_empty() {
        // No membership can end meanwhile.
        let member = doc! { "_id": owner.as_str(), "groups": { "$all": groups } };
        if users::hold(tx, member).await?.is_none() {
            return Ok(None);
        }
    }
    let before = find(tx, peer, changes).await?;
    let mut batch = Batch::new(owner, peer, now, before);
    for change in changes {
        match change {
            CatalogChange::Publish(entry) => batch.publish(entry)?,
            CatalogChange::Withdraw(path) => batch.withdraw(EntryKey::new(peer, path)),
        }
    }
    batch.write(tx).await
}

/// What is there under the paths that change.
async fn find(
    tx: &mut Tx<'_>,
    peer: Bytes32,
    changes: &[CatalogChange],
) -> MongoResult<HashMap<EntryKey, EntryDoc>> {
    let keys: BTreeSet<&str> = changes.iter().map(|change| change.path().as_str()).collect();
    let keys: Vec<_> = keys.into_iter().map(|path| doc! { "p": peer, "t": path }).collect();
    let find = tx.database.entries.find(doc! { "_id": { "$in": keys } });
    let find = find.projection(doc! { "w": 0 }).batch_size(2000);
    let mut found = find.session(&mut tx.session).await?;
    let mut entries = HashMap::new();
    while found.advance(&mut tx.session).await? {
        let entry = found.deserialize_current()?;
        entries.insert(entry.key.clone(), entry);
    }
    Ok(entries)
}

/// Changes of one peer, done to what was there and then written in few statements.
struct Batch<'a> {
    owner: &'a Username,
    peer: Bytes32,
    now: Timestamp,
    before: HashMap<EntryKey, EntryDoc>,
    /// What is under a path after the changes so far, where it is not what was there before.
    after: HashMap<EntryKey, Option<EntryDoc>>,
    words: PathWords,
    published: Published,
}

impl<'a> Batch<'a> {
    fn new(
        owner: &'a Username,
        peer: Bytes32,
        now: Timestamp,
        before: HashMap<EntryKey, EntryDoc>,
    ) -> Self {
        Self {
            owner,
            peer,
            now,
            before,
            after: HashMap::new(),
            words: PathWords::default(),
            published: Published::default(),
        }
    }

    fn current(&self, key: &EntryKey) -> Option<&EntryDoc> {
        match self.after.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.before.get(key),
        }
    }

    fn publish(&mut self, entry: &Entry) -> MongoResult<()> {
        let new = EntryDoc::new(self.owner, self.peer, entry, self.now, &mut self.words)?;
        match self.current(&new.key) {
            None => self.published.added += 1,
            Some(known) if (&known.c, known.s, &known.v) == (&new.c, new.s, &new.v) => {
                self.published.unchanged += 1;
                return Ok(());
            }
            Some(_) => self.published.replaced += 1,
        }
        self.after.insert(new.key.clone(), Some(new));
        Ok(())
    }

    fn withdraw(&mut self, key: EntryKey) {
        if self.current(&key).is_none() {
            self.published.unchanged += 1;
            return;
        }
        self.published.withdrawn += 1;
        self.after.insert(key, None);
    }

    async fn write(mut self, tx: &mut Tx<'_>) -> MongoResult<Option<Published>> {
        let mut sums = Sums::default();
        let (mut new, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (key, after) in self.after {
            let before = self.before.get(&key);
            if let Some(before) = before {
                sums.add(-1, before.s);
            }
            match (before, after) {
                (None, None) => {}
                (Some(_), None) => gone.push(key),
                (None, Some(entry)) => {
                    sums.add(1, entry.s);
                    new.push(entry);
                }
                (Some(_), Some(entry)) => {
                    sums.add(1, entry.s);
                    changed.push(entry);
                }
            }
        }
        // All batches of a peer write this, so that no two of them see the catalog alike.
        let own = doc! { "_id": self.peer, "owner": self.owner.as_str() };
        let count = tx.database.peers.find_one_and_update(own, doc! { "$inc": sums.document() });
        let count = count.return_document(ReturnDocument::After);
        let Some(peer) = count.session(&mut tx.session).await? else {
            return Ok(None);
        };
        self.published.total = u64::try_from(peer.entries).map_err(MongoError::corrupt)?;

        if !gone.is_empty() {
            let gone = doc! { "_id": { "$in": gone.iter().collect::<Vec<_>>() } };
            tx.database.entries.delete_many(gone).session(&mut tx.session).await?;
        }
        if !changed.is_empty() {
            let updates: Vec<_> = changed.iter().map(replace).collect();
            let command = doc! { "update": "entries", "updates": updates };
            let done = tx.database.raw().run_command(command).session(&mut tx.session).await?;
            check_writes(&done)?;
        }
        if !new.is_empty() {
            // Indexes are written in an order that suits them.
            new.sort_unstable_by(|a, b| a.key.t.cmp(&b.key.t));
            tx.database.entries.insert_many(new).session(&mut tx.session).await?;
        }
        Ok(Some(self.published))
    }
}

/// Writes an entry over the one under its path: its words stay.
fn replace(entry: &EntryDoc) -> Document {
    let set = doc! { "v": &entry.v, "c": entry.c, "s": entry.s, "at": entry.at, "k": entry.k };
    doc! { "q": { "_id": &entry.key }, "u": { "$set": set } }
}

/// What is added to the counters of a peer.
#[derive(Default)]
struct Sums {
    entries: i64,
    low: i64,
    high: i64,
}

impl Sums {
    /// Adds so many entries of a size.
    fn add(&mut self, entries: i64, size: i64) {
        self.entries += entries;
        self.low += entries * (size & 0xffff_ffff);
        self.high += entries * (size >> 32);
    }

    fn document(&self) -> Document {
        doc! { "entries": self.entries, "size_low": self.low, "size_high": self.high, "rev": 1 }
    }
}

/// What is read of an entry that is deleted.
#[derive(Deserialize)]
struct Gone {
    #[serde(rename = "_id")]
    key: EntryKey,
    s: i64,
}

/// Deletes entries of peers that remain.
pub(in crate::backend::mongodb) async fn forget(
    tx: &mut Tx<'_>,
    which: Document,
) -> MongoResult<()> {
    let find = tx.database.entries.find(which.clone()).projection(doc! { "s": 1 });
    let find = find.hint(by("owner")).batch_size(5000);
    let mut found = find.session(&mut tx.session).await?.with_type::<Gone>();
    let mut peers: HashMap<Bytes32, Sums> = HashMap::new();
    while found.advance(&mut tx.session).await? {
        let gone = found.deserialize_current()?;
        peers.entry(gone.key.p).or_default().add(-1, gone.s);
    }
    if peers.is_empty() {
        return Ok(());
    }
    count(tx, &peers).await?;
    let delete = tx.database.entries.delete_many(which).hint(by("owner"));
    delete.session(&mut tx.session).await?;
    Ok(())
}

/// Deletes the first of these entries of peers that remain, as this index has them, at most `limit`. Says how many.
pub(in crate::backend::mongodb) async fn forget_some(
    tx: &mut Tx<'_>,
    which: Document,
    hint: Hint,
    limit: u32,
) -> MongoResult<u64> {
    if limit == 0 {
        // The server would take it for no limit.
        return Ok(0);
    }
    let find = tx.database.entries.find(which).projection(doc! { "s": 1 });
    let find = find.hint(hint).limit(limit.into());
    let mut found = find.session(&mut tx.session).await?.with_type::<Gone>();
    let mut peers: HashMap<Bytes32, Sums> = HashMap::new();
    let mut keys = Vec::new();
    while found.advance(&mut tx.session).await? {
        let gone = found.deserialize_current()?;
        peers.entry(gone.key.p).or_default().add(-1, gone.s);
        keys.push(doc! { "p": gone.key.p, "t": gone.key.t });
    }
    count(tx, &peers).await?;
    let deleted = keys.len() as u64;
    for keys in keys.chunks(1000) {
        let delete = tx.database.entries.delete_many(doc! { "_id": { "$in": keys } });
        delete.session(&mut tx.session).await?;
    }
    Ok(deleted)
}

async fn count(tx: &mut Tx<'_>, peers: &HashMap<Bytes32, Sums>) -> MongoResult<()> {
    for (peer, sums) in peers {
        let update = doc! { "$inc": sums.document() };
        let count = tx.database.peers.update_one(doc! { "_id": *peer }, update);
        count.session(&mut tx.session).await?;
    }
    Ok(())
}
