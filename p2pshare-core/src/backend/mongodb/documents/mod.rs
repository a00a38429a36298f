//! Documents as they are kept, and values of the model in them.
//!
//! Times are milliseconds since the Unix epoch; ids of peers and contents, hashes of tokens and codes are binary values
//! of 32 bytes. `rev` counts what a transaction relies on and does not change: writing it makes two transactions that
//! would undo each other's premises conflict.

mod accounts;
mod entries;

use std::fmt;

use mongodb::bson::{Binary, Bson, spec::BinarySubtype};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(in crate::backend::mongodb) use self::{
    accounts::{GroupDoc, InviteDoc, PeerDoc, SessionDoc, UserDoc, announced},
    entries::{
        EntryDoc, EntryKey, PartialDoc, PartialKey, content_key, groups_of, of_peer, word_key,
    },
};
use super::database::{MongoError, MongoResult};
use crate::{
    auth::TokenHash,
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::model::InviteHash,
    path::SharePath,
};

/// 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::backend::mongodb) struct Bytes32(pub(in crate::backend::mongodb) [u8; 32]);

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

pub(in crate::backend::mongodb) fn user_name(text: &str) -> MongoResult<Username> {
    Username::parse(text).map_err(MongoError::corrupt)
}

pub(in crate::backend::mongodb) fn group_name(text: &str) -> MongoResult<GroupName> {
    GroupName::parse(text).map_err(MongoError::corrupt)
}

pub(in crate::backend::mongodb) fn path(text: &str) -> MongoResult<SharePath> {
    SharePath::parse(text).map_err(MongoError::corrupt)
}

pub(in crate::backend::mongodb) fn size(size: i64) -> MongoResult<u64> {
    u64::try_from(size).map_err(|_| MongoError::corrupt(format!("a size of {size} bytes")))
}
