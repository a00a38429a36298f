//! Entries, and who holds part of a content.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};

use super::{Bytes32, path, size};
use crate::{
    api::{CatalogChange, Entry, Visibility},
    backend::mongodb::database::{MongoError, MongoResult},
    content::ContentId,
    identity::Username,
    index::search::scan::PathWords,
    path::SharePath,
    time::Timestamp,
};

/// That a peer holds part of a content.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct PartialDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) key: PartialKey,
    pub(in crate::backend::mongodb) until: i64,
    /// The groups that it is noted for, in order. Where there is none, whoever wrote it did not know of them: it is told
    /// to nobody.
    pub(in crate::backend::mongodb) groups: Option<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct PartialKey {
    pub(in crate::backend::mongodb) c: Bytes32,
    pub(in crate::backend::mongodb) p: Bytes32,
}

impl From<&PartialKey> for Bson {
    fn from(key: &PartialKey) -> Self {
        doc! { "c": key.c, "p": key.p }.into()
    }
}

/// An entry. Its names are short because there are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct EntryDoc {
    /// Peer and path. Documents of a peer are next to each other, in order of path.
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) key: EntryKey,
    /// Owner.
    pub(in crate::backend::mongodb) o: String,
    /// Visibility in its text form.
    pub(in crate::backend::mongodb) v: String,
    /// Content.
    pub(in crate::backend::mongodb) c: Bytes32,
    /// Size in bytes.
    pub(in crate::backend::mongodb) s: i64,
    /// When it was published.
    pub(in crate::backend::mongodb) at: i64,
    /// How many different words the path has, at most 999.
    pub(in crate::backend::mongodb) n: i32,
    /// The first 8 bytes of the content, as a number in the same order: ends ties in the indexes of searches.
    pub(in crate::backend::mongodb) k: i64,
    /// The extension of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::backend::mongodb) e: Option<String>,
    /// The words of the path, each with what [`word_key`] puts behind it.
    #[serde(default)]
    pub(in crate::backend::mongodb) w: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct EntryKey {
    pub(in crate::backend::mongodb) p: Bytes32,
    pub(in crate::backend::mongodb) t: String,
}

impl EntryKey {
    pub(in crate::backend::mongodb) fn new(peer: Bytes32, path: &SharePath) -> Self {
        Self { p: peer, t: path.as_str().to_owned() }
    }
}

impl From<&EntryKey> for Bson {
    fn from(key: &EntryKey) -> Self {
        doc! { "p": key.p, "t": &key.t }.into()
    }
}

impl EntryDoc {
    pub(in crate::backend::mongodb) fn new(
        owner: &Username,
        peer: Bytes32,
        entry: &Entry,
        now: Timestamp,
        words: &mut PathWords,
    ) -> MongoResult<Self> {
        words.cut(entry.path.as_str());
        let size = i64::try_from(entry.size);
        Ok(Self {
            key: EntryKey::new(peer, &entry.path),
            o: owner.to_string(),
            v: entry.visibility.to_string(),
            c: (&entry.content).into(),
            s: size.map_err(|_| MongoError::corrupt(format!("a size of {} bytes", entry.size)))?,
            at: now.as_millis(),
            // At most 999.
            n: i32::try_from(words.count()).unwrap_or(999),
            k: content_key(&entry.content),
            e: entry.path.extension(),
            w: words.iter().map(|word| word_key(word, words.has_name(word))).collect(),
        })
    }

    pub(in crate::backend::mongodb) fn content(&self) -> ContentId {
        ContentId::from_bytes(self.c.0)
    }

    pub(in crate::backend::mongodb) fn size(&self) -> MongoResult<u64> {
        size(self.s)
    }

    pub(in crate::backend::mongodb) fn into_entry(self) -> MongoResult<Entry> {
        Ok(Entry {
            path: path(&self.key.t)?,
            content: self.content(),
            size: self.size()?,
            visibility: self.v.parse::<Visibility>().map_err(MongoError::corrupt)?,
        })
    }
}

/// A word of a path, and whether it is one of the file's own name: what begins with a word is next to it in the index,
/// and what is that very word comes first, names before folders.
pub(in crate::backend::mongodb) fn word_key(word: &str, in_name: bool) -> String {
    format!("{word}\0{}", if in_name { 'n' } else { 'p' })
}

/// The first 8 bytes of a content as a number in the same order.
pub(in crate::backend::mongodb) fn content_key(content: &ContentId) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&content.as_bytes()[..8]);
    // The lowest number is that of zeros.
    (u64::from_be_bytes(first) ^ (1 << 63)).cast_signed()
}

/// All entries of a peer.
pub(in crate::backend::mongodb) fn of_peer(peer: Bytes32) -> Document {
    doc! { "_id": { "$gte": { "p": peer, "t": "" }, "$lt": { "p": peer, "t": Bson::MaxKey } } }
}

/// The groups that changes publish to.
pub(in crate::backend::mongodb) fn groups_of(changes: &[CatalogChange]) -> BTreeSet<&str> {
    let group = |change| match change {
        &CatalogChange::Publish(Entry { visibility: Visibility::Group(ref name), .. }) => {
            Some(name.as_str())
        }
        _ => None,
    };
    changes.iter().filter_map(group).collect()
}
