//! What the rules answer with when they refuse.

use std::fmt;

use super::{
    search::{CursorError, QueryError},
    store::StoreError,
};
use crate::{
    api::{Problem, ProblemKind},
    auth::AuthError,
    identity::{GroupName, PeerId, Username},
};

/// Something that a caller named and that is not there for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thing {
    /// A user.
    User(Username),
    /// A peer.
    Peer(PeerId),
    /// A group.
    Group(GroupName),
    /// A user as a member of a group.
    Member(Username, GroupName),
    /// An invite.
    Invite,
    /// A content.
    Content,
    /// A partial source.
    PartialSource,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Peer(id) => write!(f, "peer {id}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Member(user, group) => write!(f, "member {user} of group {group}"),
            Self::Invite => f.write_str("this invite"),
            Self::Content => f.write_str("this content"),
            Self::PartialSource => f.write_str("this partial source"),
        }
    }
}

/// What a user may have so many of: peers,
pub(super) const PEERS: &str = "peers of a user";
/// groups,
pub(super) const GROUPS: &str = "groups of a user";
/// and groups when somebody else takes them into one.
pub(super) const GROUPS_OF_OTHERS: &str = "groups of a user whom others take into theirs";

/// Why the index did not do what was asked.
///
/// What exists but not for the caller is [`NotFound`](Self::NotFound), in the same words as what does not exist.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// No session, or one that has ended.
    #[error("the session does not exist or has ended")]
    NotLoggedIn,
    /// The name or the password is wrong; which one is not said.
    #[error("the user name or the password is wrong")]
    WrongCredentials,
    /// An operator disabled the account.
    #[error("this account is disabled")]
    AccountDisabled,
    /// Nobody may register.
    #[error("this index does not take registrations")]
    RegistrationClosed,
    /// Registration needs an invite.
    #[error("this index takes registrations by invite only")]
    InviteNeeded,
    /// The invite does not exist, is used up or has ended; which one is not said.
    #[error("the invite code is not good")]
    InviteNotGood,
    /// The name is taken.
    #[error("{0} exists already")]
    Taken(Thing),
    /// It does not exist, or not for this caller.
    #[error("{0} does not exist")]
    NotFound(Thing),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What is asked does not fit what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// An argument is out of its bounds.
    #[error("{0}")]
    Invalid(String),
    /// The announce is not newer than the last one, or its time is off.
    #[error("{0}")]
    StaleAnnounce(&'static str),
    /// A quota is used up.
    #[error("at most {limit} {what} are allowed here")]
    Quota {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// The caller asks for too much at once.
    #[error("{0}")]
    Busy(&'static str),
    /// A query that is too long.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A cursor of another search.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// Checking passwords failed or is too busy.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IndexError {
    /// The problem document for whoever asked. It never has what only the operator may know: that goes into the log.
    pub fn problem(&self) -> Problem {
        let (kind, hint) = self.kind_and_hint();
        let detail = match self {
            Self::Store(StoreError::Unavailable(_)) => {
                "the index's store is not available".to_owned()
            }
            Self::Store(_) => "the index's store failed".to_owned(),
            Self::Auth(error) if !matches!(error, AuthError::Busy | AuthError::NotManaged) => {
                "passwords cannot be checked now".to_owned()
            }
            other => other.to_string(),
        };
        let problem = Problem::new(kind, detail);
        match hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }

    /// Whether it is the index that failed, and not the request.
    pub fn is_fault(&self) -> bool {
        matches!(self.kind_and_hint().0, ProblemKind::Internal | ProblemKind::Unavailable)
    }

    fn kind_and_hint(&self) -> (ProblemKind, Option<&'static str>) {
        use ProblemKind as Kind;
        match self {
            Self::NotLoggedIn => (Kind::NotLoggedIn, Some("log in")),
            Self::WrongCredentials => (
                Kind::WrongCredentials,
                Some("check the spelling, or register if you have no account yet"),
            ),
            Self::AccountDisabled => (Kind::AccountDisabled, Some("ask an operator of this index")),
            Self::RegistrationClosed => {
                (Kind::RegistrationRefused, Some("ask an operator of this index for an account"))
            }
            Self::InviteNeeded => {
                (Kind::RegistrationRefused, Some("ask a member for an invite code"))
            }
            Self::InviteNotGood => (
                Kind::RegistrationRefused,
                Some("check the spelling, or ask for a new invite code"),
            ),
            Self::Taken(_) => (Kind::AlreadyExists, Some("choose another name")),
            Self::NotFound(_) => (Kind::NotFound, None),
            Self::Forbidden(_) => (Kind::Forbidden, None),
            Self::Conflict(_) => (Kind::Conflict, None),
            Self::Invalid(_) | Self::Query(_) | Self::Cursor(_) => (Kind::InvalidRequest, None),
            Self::StaleAnnounce(_) => {
                (Kind::StaleAnnounce, Some("set this machine's clock and announce again"))
            }
            Self::Quota { what: PEERS, .. } => (
                Kind::QuotaExceeded,
                Some(
                    "a peer that is away and shares nothing makes room: unshare what an old one shares and stop it, \
                     or ask an operator of this index",
                ),
            ),
            Self::Quota { what: GROUPS_OF_OTHERS, .. } => {
                (Kind::QuotaExceeded, Some("the user has to leave or delete some first"))
            }
            Self::Quota { .. } => {
                (Kind::QuotaExceeded, Some("remove some, or ask an operator of this index"))
            }
            Self::Busy(_) => (Kind::TooManyRequests, Some("wait until some are answered")),
            Self::Auth(AuthError::Busy) => (Kind::Unavailable, Some("try again in a moment")),
            Self::Auth(AuthError::NotManaged) => (Kind::Forbidden, None),
            Self::Auth(_) => {
                (Kind::Internal, Some("tell an operator of this index the request id"))
            }
            Self::Store(StoreError::Unavailable(_)) => {
                (Kind::Unavailable, Some("try again in a moment"))
            }
            Self::Store(_) => {
                (Kind::Internal, Some("tell an operator of this index the request id"))
            }
        }
    }
}
