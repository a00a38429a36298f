//! Collections, their indexes, and versions of both.
//!
//! Every process brings the database up to date when it starts, as often and as many at a time as they like: each step
//! changes nothing where it was done before.

use mongodb::{
    bson::{Document, doc},
    options::ReturnDocument,
};

use super::{Database, MongoError, MongoResult, transaction::patiently};

/// The newest version that this program knows.
const VERSION: u32 = 1;

struct Index {
    collection: &'static str,
    name: &'static str,
    keys: &'static [(&'static str, i32)],
}

const fn index(
    collection: &'static str,
    name: &'static str,
    keys: &'static [(&'static str, i32)],
) -> Index {
    Index { collection, name, keys }
}

/// All indexes but those of `_id`, which is what makes each document the only one of its kind: the name of a user or a
/// group, the id of a peer, the hash of a token or a code, peer and path of an entry.
const INDEXES: &[Index] = &[
    index("users", "groups", &[("groups", 1), ("_id", 1)]),
    index("sessions", "user", &[("user", 1), ("created_at", 1), ("_id", 1)]),
    index("sessions", "expiry", &[("expires_at", 1)]),
    index("peers", "owner", &[("owner", 1), ("_id", 1)]),
    index("peers", "heard", &[("heard", 1), ("_id", 1)]),
    index("peers", "seen", &[("last_seen", 1)]),
    index("groups", "owner", &[("owner", 1)]),
    index("invites", "maker", &[("created_by", 1), ("created_at", -1), ("_id", 1)]),
    index("invites", "group", &[("group", 1)]),
    index("invites", "expiry", &[("expires_at", 1)]),
    index("partials", "content", &[("_id.c", 1), ("until", 1)]),
    index("partials", "peer", &[("_id.p", 1)]),
    index("partials", "until", &[("until", 1)]),
    index("partials", "groups", &[("groups", 1)]),
    // Searching: each word with whole names first, short paths before long ones, then contents.
    index("entries", "words", &[("w", 1), ("n", 1), ("k", 1)]),
    // Browsing, and what a member shared with a group.
    index("entries", "owner", &[("o", 1), ("v", 1), ("_id.t", 1)]),
    // Hits and sources of a content.
    index("entries", "content", &[("c", 1), ("s", 1)]),
    // Searches without words, and those whose words are common, end early in the order of one of these.
    index("entries", "brief", &[("n", 1), ("k", 1)]),
    index("entries", "time", &[("at", -1), ("k", 1)]),
    index("entries", "size", &[("s", -1), ("k", 1)]),
];

/// Brings the database up to date.
pub(super) async fn prepare(database: &Database) -> MongoResult<()> {
    check_version(find_version(database).await?)?;
    let mut collections: Vec<&str> = INDEXES.iter().map(|index| index.collection).collect();
    collections.dedup();
    for collection in collections {
        let of = INDEXES.iter().filter(|index| index.collection == collection);
        create(database, collection, of.map(described).collect()).await?;
    }
    // Leases end by the servers' own clock. All else ends when the store is told so.
    let ends = doc! { "key": { "until": 1 }, "name": "until", "expireAfterSeconds": 24 * 3600 };
    create(database, "leases", vec![ends]).await?;
    check_version(note_version(database).await?)
}

async fn create(database: &Database, collection: &str, indexes: Vec<Document>) -> MongoResult<()> {
    let command = doc! {
        "createIndexes": collection,
        "indexes": indexes,
        "writeConcern": { "w": "majority" },
    };
    patiently(|| database.raw().run_command(command.clone())).await?;
    Ok(())
}

fn described(index: &Index) -> Document {
    let keys = index.keys.iter().map(|(field, order)| ((*field).to_owned(), (*order).into()));
    doc! { "key": Document::from_iter(keys), "name": index.name }
}

fn check_version(found: Option<u32>) -> MongoResult<()> {
    match found {
        Some(found) if found > VERSION => Err(MongoError::NewerSchema { found, known: VERSION }),
        _ => Ok(()),
    }
}

async fn find_version(database: &Database) -> MongoResult<Option<u32>> {
    let found = patiently(|| database.meta.find_one(doc! { "_id": "schema" })).await?;
    found.map(|found| version(&found)).transpose()
}

/// Notes this version where none is noted.
async fn note_version(database: &Database) -> MongoResult<Option<u32>> {
    let note = || {
        let version = doc! { "$setOnInsert": { "version": i64::from(VERSION) } };
        let note = database.meta.find_one_and_update(doc! { "_id": "schema" }, version);
        note.upsert(true).return_document(ReturnDocument::After)
    };
    let noted = match patiently(note).await {
        // Another process has just done the same.
        Err(error) if error.is_duplicate() => patiently(note).await?,
        noted => noted?,
    };
    noted.map(|noted| version(&noted)).transpose()
}

fn version(noted: &Document) -> MongoResult<u32> {
    let version = noted.get_i64("version").map_err(MongoError::corrupt)?;
    u32::try_from(version).map_err(MongoError::corrupt)
}
