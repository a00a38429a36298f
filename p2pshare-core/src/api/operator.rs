//! What operators of the index see and do.

use serde::{Deserialize, Serialize};

use super::Invite;
use crate::{identity::Username, time::Timestamp};

/// Asks for a page of all accounts, in order of name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct UsersQuery {
    /// Only names that begin with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(max_length = 32, pattern = "^[A-Za-z0-9._-]*$"))]
    pub prefix: Option<String>,
    /// Only names after this one: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Username>,
    /// Accounts in the answer: 1 to 200, 50 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
}

/// An account and how much is its own, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserOverview {
    /// The name.
    pub username: Username,
    /// Whether this is an operator of the index.
    pub operator: bool,
    /// Whether an operator has disabled the account.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Open sessions.
    pub sessions: u64,
    /// Peers, online or not.
    pub peers: u64,
    /// Peers that are online.
    pub online: u64,
    /// Published files.
    pub files: u64,
    /// Sum of the sizes of the published files, as their peers claim them.
    pub bytes: u64,
    /// When a peer of the account was last heard of, if any is known that has not said goodbye.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// A page of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserOverviews {
    /// In order of name.
    pub users: Vec<UserOverview>,
    /// What to ask for as `after` to get the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Username>,
}

/// Changes the account of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Whether the account is disabled from now on. Disabling ends its sessions and takes its peers offline.
    pub disabled: bool,
}

/// Asks for a page of the invites of all users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct InvitesQuery {
    /// The page after this one: `next` of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Invites in the answer: 1 to 200, 50 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 200))]
    pub limit: Option<u32>,
}

/// A page of invites that are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitePage {
    /// Those first that end last.
    pub invites: Vec<Invite>,
    /// Cursor to the page that follows; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How much an index process has to do, and how much the index holds.
///
/// Counters begin at zero when the process starts: what happens in a second is the difference of two answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexLoad {
    /// The process that answers. Where several serve one index, each tells of itself.
    pub process: String,
    /// When it started.
    pub started_at: Timestamp,
    /// The index's clock.
    pub time: Timestamp,
    /// Requests answered.
    pub requests: u64,
    /// Requests answered with a status of 500 or above.
    pub failed: u64,
    /// Microseconds from the heads of all requests to the heads of their answers, in sum.
    pub request_micros: u64,
    /// Requests being worked on, this one among them.
    pub in_flight: u64,
    /// Open connections.
    pub connections: u64,
    /// Connections closed at once because of a limit.
    pub connections_refused: u64,
    /// Heartbeats of peers.
    pub heartbeats: u64,
    /// The store.
    pub store: StoreLoad,
    /// How much the index holds, some seconds old; missing while the store does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<IndexCounts>,
}

/// How the store of an index does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreLoad {
    /// What kind it is: `memory`, `SQLite`, `MongoDB`.
    pub kind: String,
    /// Microseconds that it took to answer just now; missing if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_micros: Option<u64>,
}

/// How much an index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexCounts {
    /// Accounts.
    pub users: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Peers, online or not.
    pub peers: u64,
    /// Peers that are online.
    pub online: u64,
    /// Published files.
    pub files: u64,
    /// Sum of their sizes in bytes, as their peers claim them.
    pub bytes: u64,
}

/// Asks for recent events of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only events before that of this number: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(format = "uint64"))]
    pub before: Option<u64>,
    /// Only events after that of this number: what has happened since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(format = "uint64"))]
    pub after: Option<u64>,
    /// Events in the answer: 1 to 1,000, 100 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
}

/// Recent events of the audit log of one index process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// The process that answers: numbers count its own events. Where several serve one index, each tells of itself.
    pub process: String,
    /// Newest first.
    pub events: Vec<AuditEvent>,
    /// What to ask for as `before` to get older ones; missing if none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Somebody did something, or tried to. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// Counts the events of the process, from 1 on.
    pub number: u64,
    /// When it was.
    pub time: Timestamp,
    /// What was done, such as `login`.
    pub event: String,
    /// The account that did it, or that was named.
    pub user: String,
    /// What it was done to, if that is something else: the account that an operator changed, a group, `GROUP/USER` for a
    /// member of one, a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Address that it came from.
    pub client: String,
    /// Id of the request, as in the log.
    pub request: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// Why it was refused: the stable name of the problem's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What became of what somebody tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It was done in part.
    LeftOut,
}
