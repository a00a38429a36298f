//! Accounts, sessions, peers, groups and invites.

use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{Bytes32, group_name, user_name};
use crate::{
    auth::{TokenHash, Verifier},
    backend::mongodb::database::{MongoError, MongoResult},
    identity::PeerId,
    index::model::{GroupRecord, InviteHash, InviteRecord, Peer, Session, User},
    time::Timestamp,
};

/// An account, with the groups that it is in.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct UserDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) name: String,
    pub(in crate::backend::mongodb) verifier: String,
    pub(in crate::backend::mongodb) operator: bool,
    pub(in crate::backend::mongodb) disabled: bool,
    pub(in crate::backend::mongodb) created_at: i64,
    pub(in crate::backend::mongodb) groups: Vec<String>,
}

impl UserDoc {
    pub(in crate::backend::mongodb) fn new(user: &User, groups: Vec<String>) -> Self {
        Self {
            name: user.name.to_string(),
            verifier: user.verifier.as_str().to_owned(),
            operator: user.operator,
            disabled: user.disabled,
            created_at: user.created_at.as_millis(),
            groups,
        }
    }

    pub(in crate::backend::mongodb) fn into_model(self) -> MongoResult<User> {
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
pub(in crate::backend::mongodb) struct SessionDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) token: Bytes32,
    pub(in crate::backend::mongodb) user: String,
    pub(in crate::backend::mongodb) created_at: i64,
    pub(in crate::backend::mongodb) expires_at: i64,
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
    pub(in crate::backend::mongodb) fn into_model(self) -> MongoResult<Session> {
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
pub(in crate::backend::mongodb) struct PeerDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) id: Bytes32,
    pub(in crate::backend::mongodb) owner: String,
    pub(in crate::backend::mongodb) addresses: Vec<String>,
    pub(in crate::backend::mongodb) announced_at: i64,
    pub(in crate::backend::mongodb) last_seen: Option<i64>,
    pub(in crate::backend::mongodb) entries: i64,
}

impl PeerDoc {
    pub(in crate::backend::mongodb) fn into_model(self) -> MongoResult<Peer> {
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
pub(in crate::backend::mongodb) fn announced(peer: &Peer) -> Document {
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
pub(in crate::backend::mongodb) struct GroupDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) name: String,
    pub(in crate::backend::mongodb) owner: String,
    pub(in crate::backend::mongodb) created_at: i64,
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
    pub(in crate::backend::mongodb) fn into_model(self) -> MongoResult<GroupRecord> {
        Ok(GroupRecord {
            name: group_name(&self.name)?,
            owner: user_name(&self.owner)?,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::backend::mongodb) struct InviteDoc {
    #[serde(rename = "_id")]
    pub(in crate::backend::mongodb) hash: Bytes32,
    pub(in crate::backend::mongodb) created_by: String,
    pub(in crate::backend::mongodb) group: Option<String>,
    pub(in crate::backend::mongodb) uses_left: i64,
    pub(in crate::backend::mongodb) created_at: i64,
    pub(in crate::backend::mongodb) expires_at: i64,
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
    pub(in crate::backend::mongodb) fn into_model(self) -> MongoResult<InviteRecord> {
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
