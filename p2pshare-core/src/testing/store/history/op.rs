//! One step of a history.

use crate::{
    api::{CatalogChange, Entry},
    testing::store::fixture::{content, path},
};

/// Something that is done to a store, named as the method that does it. Users, groups and paths are told by name, all
/// else by small numbers, times in seconds: for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the parameters of the methods")]
pub enum Op {
    InsertUser {
        name: &'static str,
        verifier: u8,
        operator: bool,
        disabled: bool,
        created_at: i64,
        only_if_first: bool,
    },
    SetVerifier {
        name: &'static str,
        verifier: u8,
        expected: Option<u8>,
        /// `None`: all sessions go on; else that one alone, or none.
        kept: Option<Option<u8>>,
    },
    SetDisabled {
        name: &'static str,
        disabled: bool,
    },
    SetOperator {
        name: &'static str,
        operator: bool,
    },
    DeleteUser {
        name: &'static str,
    },
    OpenSession {
        token: u8,
        user: &'static str,
        created_at: i64,
        expires_at: i64,
        verifier: u8,
        keep: u32,
    },
    ExtendSession {
        token: u8,
        expires_at: i64,
    },
    EndSession {
        token: u8,
    },
    EndSessions {
        user: &'static str,
        except: Option<u8>,
    },
    PurgeSessions {
        now: i64,
    },
    Announce {
        peer: u8,
        owner: &'static str,
        /// How many addresses.
        addresses: u8,
        announced_at: i64,
        last_seen: Option<i64>,
    },
    TouchPeers {
        seen: Vec<(u8, i64)>,
    },
    PeerLeaves {
        peer: u8,
    },
    DeletePeer {
        peer: u8,
    },
    PurgePeers {
        before: i64,
        limit: u32,
    },
    Publish {
        owner: &'static str,
        peer: u8,
        changes: Vec<Change>,
        now: i64,
    },
    AddPartialSource {
        owner: &'static str,
        peer: u8,
        content: u8,
        until: i64,
        groups: Vec<&'static str>,
    },
    RemovePartialSource {
        owner: &'static str,
        peer: u8,
        content: u8,
    },
    InsertGroup {
        name: &'static str,
        owner: &'static str,
        created_at: i64,
    },
    AddMember {
        name: &'static str,
        user: &'static str,
    },
    RemoveMember {
        name: &'static str,
        user: &'static str,
    },
    SetGroupOwner {
        name: &'static str,
        owner: &'static str,
    },
    DeleteGroup {
        name: &'static str,
    },
    InsertInvite {
        hash: u8,
        created_by: &'static str,
        group: Option<&'static str>,
        uses_left: u32,
        created_at: i64,
        expires_at: i64,
    },
    RedeemInvite {
        hash: u8,
        name: &'static str,
        now: i64,
    },
    DeleteInvite {
        hash: u8,
    },
    PurgeInvites {
        now: i64,
    },
}

/// A change of a peer's catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of an entry")]
pub enum Change {
    /// Publishes an entry.
    Publish {
        path: &'static str,
        content: u8,
        size: u64,
        /// In its text form.
        visibility: &'static str,
    },
    /// Withdraws a path.
    Withdraw(&'static str),
}

impl From<&Change> for CatalogChange {
    fn from(change: &Change) -> Self {
        match change {
            Change::Withdraw(text) => Self::Withdraw(path(text)),
            Change::Publish { path: text, content: number, size, visibility } => {
                Self::Publish(Entry {
                    path: path(text),
                    content: content(*number),
                    size: *size,
                    visibility: visibility.parse().expect("a visibility in a history is valid"),
                })
            }
        }
    }
}
