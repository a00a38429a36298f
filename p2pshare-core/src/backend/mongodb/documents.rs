//! Documents as they are kept, and values of the model in them.
//!
//! Times are milliseconds since the Unix epoch; ids of peers and contents, hashes of tokens and codes are binary values
//! of 32 bytes. `rev` counts what a transaction relies on and does not change: writing it makes two transactions that
//! would undo each other's premises conflict.

use std::fmt;

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::database::{MongoError, MongoResult};
use crate::{
    api::{CatalogChange, Entry, Visibility},
    auth::{TokenHash, Verifier},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{GroupRecord, InviteHash, InviteRecord, Peer, Session, User},
        search::scan::PathWords,
    },
    path::SharePath,
    time::Timestamp,
};

/// 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bytes32(pub(super) [u8; 32]);

impl Serialize for Bytes32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Bytes32;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes32, E> {
                let bytes = bytes.try_into();
                bytes.map(Bytes32).map_err(|_| E::custom("an id that has not 32 bytes"))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}

impl From<Bytes32> for Bson {
    fn from(bytes: Bytes32) -> Self {
        let bytes = bytes.0.to_vec();
        Self::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
    }
}

macro_rules! as_bytes {
    ($($of:ty: $this:ident => $bytes:expr;)*) => {
        $(impl From<&$of> for Bytes32 {
            fn from($this: &$of) -> Self {
                Self($bytes)
            }
        })*
    };
}

as_bytes! {
    PeerId: id => *id.as_bytes();
    ContentId: id => *id.as_bytes();
    TokenHash: hash => *hash.as_bytes();
    InviteHash: hash => hash.0;
}

/// An account, with the groups that it is in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserDoc {
    #[serde(rename = "_id")]
    pub(super) name: String,
    pub(super) verifier: String,
    pub(super) operator: bool,
    pub(super) disabled: bool,
    pub(super) created_at: i64,
    pub(super) groups: Vec<String>,
}

impl UserDoc {
    pub(super) fn new(user: &User, groups: Vec<String>) -> Self {
        Self {
            name: user.name.to_string(),
            verifier: user.verifier.as_str().to_owned(),
            operator: user.operator,
            disabled: user.disabled,
            created_at: user.created_at.as_millis(),
            groups,
        }
    }

    pub(super) fn into_model(self) -> MongoResult<User> {
        Ok(User {
            name: user_name(&self.name)?,
            verifier: Verifier::parse(self.verifier).map_err(MongoError::corrupt)?,
            operator: self.operator,
            disabled: self.disabled,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionDoc {
    #[serde(rename = "_id")]
    pub(super) token: Bytes32,
    pub(super) user: String,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
}

impl From<&Session> for SessionDoc {
    fn from(session: &Session) -> Self {
        Self {
            token: (&session.token).into(),
            user: session.user.to_string(),
            created_at: session.created_at.as_millis(),
            expires_at: session.expires_at.as_millis(),
        }
    }
}

impl SessionDoc {
    pub(super) fn into_model(self) -> MongoResult<Session> {
        Ok(Session {
            token: TokenHash::from_bytes(self.token.0),
            user: user_name(&self.user)?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

/// A peer. `entries`, `size_low` and `size_high` count its entries and sum up the lower and upper 32 bits of their
/// sizes; `heard` is the newest sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PeerDoc {
    #[serde(rename = "_id")]
    pub(super) id: Bytes32,
    pub(super) owner: String,
    pub(super) addresses: Vec<String>,
    pub(super) announced_at: i64,
    pub(super) last_seen: Option<i64>,
    pub(super) entries: i64,
}

impl PeerDoc {
    pub(super) fn into_model(self) -> MongoResult<Peer> {
        let parse = |address: String| address.parse().map_err(MongoError::corrupt);
        Ok(Peer {
            id: PeerId::from_bytes(self.id.0),
            owner: user_name(&self.owner)?,
            addresses: self.addresses.into_iter().map(parse).collect::<MongoResult<_>>()?,
            announced_at: Timestamp::from_millis(self.announced_at),
            last_seen: self.last_seen.map(Timestamp::from_millis),
        })
    }
}

/// What an announce sets in the document of its peer.
pub(super) fn announced(peer: &Peer) -> Document {
    let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
    let last_seen = peer.last_seen.map(Timestamp::as_millis);
    doc! {
        "owner": peer.owner.as_str(),
        "addresses": addresses,
        "announced_at": peer.announced_at.as_millis(),
        "last_seen": last_seen,
        "heard": last_seen.unwrap_or(peer.announced_at.as_millis()),
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupDoc {
    #[serde(rename = "_id")]
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) created_at: i64,
}

impl From<&GroupRecord> for GroupDoc {
    fn from(group: &GroupRecord) -> Self {
        Self {
            name: group.name.to_string(),
            owner: group.owner.to_string(),
            created_at: group.created_at.as_millis(),
        }
    }
}

impl GroupDoc {
    pub(super) fn into_model(self) -> MongoResult<GroupRecord> {
        Ok(GroupRecord {
            name: group_name(&self.name)?,
            owner: user_name(&self.owner)?,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InviteDoc {
    #[serde(rename = "_id")]
    pub(super) hash: Bytes32,
    pub(super) created_by: String,
    pub(super) group: Option<String>,
    pub(super) uses_left: i64,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
}

impl From<&InviteRecord> for InviteDoc {
    fn from(invite: &InviteRecord) -> Self {
        Self {
            hash: (&invite.hash).into(),
            created_by: invite.created_by.to_string(),
            group: invite.group.as_ref().map(ToString::to_string),
            uses_left: invite.uses_left.into(),
            created_at: invite.created_at.as_millis(),
            expires_at: invite.expires_at.as_millis(),
        }
    }
}

impl InviteDoc {
    pub(super) fn into_model(self) -> MongoResult<InviteRecord> {
        Ok(InviteRecord {
            hash: InviteHash(self.hash.0),
            created_by: user_name(&self.created_by)?,
            group: self.group.as_deref().map(group_name).transpose()?,
            uses_left: u32::try_from(self.uses_left).map_err(MongoError::corrupt)?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

/// That a peer holds part of a content.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartialDoc {
    #[serde(rename = "_id")]
    pub(super) key: PartialKey,
    pub(super) until: i64,
    /// The groups that it is noted for, in order. Where there is none, whoever wrote it did not know of them: it is told
    /// to nobody.
    pub(super) groups: Option<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartialKey {
    pub(super) c: Bytes32,
    pub(super) p: Bytes32,
}

impl From<&PartialKey> for Bson {
    fn from(key: &PartialKey) -> Self {
        doc! { "c": key.c, "p": key.p }.into()
    }
}

/// An entry. Its names are short because there are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryDoc {
    /// Peer and path. Documents of a peer are next to each other, in order of path.
    #[serde(rename = "_id")]
    pub(super) key: EntryKey,
    /// Owner.
    pub(super) o: String,
    /// Visibility in its text form.
    pub(super) v: String,
    /// Content.
    pub(super) c: Bytes32,
    /// Size in bytes.
    pub(super) s: i64,
    /// When it was published.
    pub(super) at: i64,
    /// How many different words the path has, at most 999.
    pub(super) n: i32,
    /// The first 8 bytes of the content, as a number in the same order: ends ties in the indexes of searches.
    pub(super) k: i64,
    /// The extension of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) e: Option<String>,
    /// The words of the path, each with what [`word_key`] puts behind it.
    #[serde(default)]
    pub(super) w: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct EntryKey {
    pub(super) p: Bytes32,
    pub(super) t: String,
}

impl EntryKey {
    pub(super) fn new(peer: Bytes32, path: &SharePath) -> Self {
        Self { p: peer, t: path.as_str().to_owned() }
    }
}

impl From<&EntryKey> for Bson {
    fn from(key: &EntryKey) -> Self {
        doc! { "p": key.p, "t": &key.t }.into()
    }
}

impl EntryDoc {
    pub(super) fn new(
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

    pub(super) fn content(&self) -> ContentId {
        ContentId::from_bytes(self.c.0)
    }

    pub(super) fn size(&self) -> MongoResult<u64> {
        size(self.s)
    }

    pub(super) fn into_entry(self) -> MongoResult<Entry> {
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
pub(super) fn word_key(word: &str, in_name: bool) -> String {
    format!("{word}\0{}", if in_name { 'n' } else { 'p' })
}

/// The first 8 bytes of a content as a number in the same order.
pub(super) fn content_key(content: &ContentId) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&content.as_bytes()[..8]);
    // The lowest number is that of zeros.
    (u64::from_be_bytes(first) ^ (1 << 63)).cast_signed()
}

/// All entries of a peer.
pub(super) fn of_peer(peer: Bytes32) -> Document {
    doc! { "_id": { "$gte": { "p": peer, "t": "" }, "$lt": { "p": peer, "t": Bson::MaxKey } } }
}

pub(super) fn user_name(text: &str) -> MongoResult<Username> {
    Username::parse(text).map_err(MongoError::corrupt)
}

pub(super) fn group_name(text: &str) -> MongoResult<GroupName> {
    GroupName::parse(text).map_err(MongoError::corrupt)
}

pub(super) fn path(text: &str) -> MongoResult<SharePath> {
    SharePath::parse(text).map_err(MongoError::corrupt)
}

pub(super) fn size(size: i64) -> MongoResult<u64> {
    u64::try_from(size).map_err(|_| MongoError::corrupt(format!("a size of {size} bytes")))
}

/// The groups that changes publish to.
pub(super) fn groups_of(changes: &[CatalogChange]) -> std::collections::BTreeSet<&str> {
    let group = |change| match change {
        &CatalogChange::Publish(Entry { visibility: Visibility::Group(ref name), .. }) => {
            Some(name.as_str())
        }
        _ => None,
    };
    changes.iter().filter_map(group).collect()
}
