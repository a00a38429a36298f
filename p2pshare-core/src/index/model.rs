//! What an index store keeps.

use std::time::Duration;

use crate::{
    api::{SourceKind, Visibility},
    auth::{TokenHash, Verifier},
    content::ContentId,
    identity::{GroupName, PeerAddr, PeerId, Username},
    time::Timestamp,
};

/// A peer counts as online this long after its last heartbeat.
pub const ONLINE_FOR: Duration = Duration::from_secs(90);

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name: no two accounts share one.
    pub name: Username,
    /// What its password is checked against.
    pub verifier: Verifier,
    /// Whether this is an operator of the index.
    pub operator: bool,
    /// Whether an operator has disabled it.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl User {
    /// What a password is checked against; `None`: none is right, as if there were no such account, unless a directory
    /// says that it is.
    pub(super) fn checked_against(&self) -> Option<&Verifier> {
        Some(&self.verifier).filter(|verifier| verifier.is_of_password())
    }

    /// Whether it is being deleted.
    pub(super) fn is_leaving(&self) -> bool {
        self.verifier.is_gone()
    }
}

/// A session, known by the hash of its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Hash of the bearer token.
    pub token: TokenHash,
    /// Whose session.
    pub user: Username,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself, unless it is used before that.
    pub expires_at: Timestamp,
}

/// Which sessions of an account go on when its password is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptSessions {
    /// All of them: it is the same password.
    All,
    /// This one alone.
    One(TokenHash),
    /// None.
    None,
}

impl KeptSessions {
    /// The session that does not end, if the others do; `None`: none ends.
    pub fn end_all_but(self) -> Option<Option<TokenHash>> {
        match self {
            Self::All => None,
            Self::One(session) => Some(Some(session)),
            Self::None => Some(None),
        }
    }
}

/// A session together with what every request must know of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: Session,
    /// Whether the user is an operator.
    pub operator: bool,
    /// Whether the user is disabled.
    pub disabled: bool,
}

/// A peer, as it last announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer: hash of its public key.
    pub id: PeerId,
    /// The user who runs it.
    pub owner: Username,
    /// Where it can be reached, best first.
    pub addresses: Vec<PeerAddr>,
    /// The time in its newest announce, by its own clock.
    pub announced_at: Timestamp,
    /// When it was last heard of; `None` after it said goodbye.
    pub last_seen: Option<Timestamp>,
}

impl Peer {
    /// Whether it was heard of at `since` or later.
    pub fn online_since(&self, since: Timestamp) -> bool {
        self.last_seen.is_some_and(|seen| seen >= since)
    }
}

/// What became of an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceOutcome {
    /// It is stored, and the peer has so many catalog entries.
    Stored {
        /// Entries of the peer.
        entries: u64,
    },
    /// Another user owns the peer. Nothing changed.
    OwnedByAnother,
    /// An announce with this time or a later one is stored. Nothing changed.
    Stale,
    /// The owner has no account, or a disabled one. Nothing changed.
    NoOwner,
}

/// Who is looking: decides what exists for them.
///
/// An entry is *visible* to a viewer if it is public, if it is their own, or if it belongs to a group in `groups`.
/// An unlisted entry of another is *reachable* (it can be located by its content id) but not visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The user.
    pub user: Username,
    /// The groups they are a member of, at this moment.
    pub groups: Vec<GroupName>,
}

impl Viewer {
    /// Whether an entry of `owner` is found by search and browse.
    pub fn sees(&self, owner: &Username, visibility: &Visibility) -> bool {
        match visibility {
            Visibility::Public => true,
            Visibility::Unlisted => owner == &self.user,
            Visibility::Group(group) => owner == &self.user || self.groups.contains(group),
        }
    }

    /// Whether an entry of `owner` is found by its content id.
    pub fn reaches(&self, owner: &Username, visibility: &Visibility) -> bool {
        matches!(visibility, Visibility::Unlisted) || self.sees(owner, visibility)
    }
}

/// Which sources of which contents are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocateRequest {
    /// The contents. One that is named twice is answered once.
    pub contents: Vec<ContentId>,
    /// Sources heard of at this time or later are online.
    pub online_since: Timestamp,
    /// Partial sources that end at this time or earlier do not count.
    pub now: Timestamp,
    /// Most sources for each content.
    pub limit: u32,
    /// Where in the circle of peer ids to begin when there are more sources than `limit`: a random one spreads the
    /// downloaders over the sources.
    pub pivot: PeerId,
}

/// Where a content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The content.
    pub content: ContentId,
    /// The size that most peers with reachable entries claim; of equally many, the smallest.
    pub size: u64,
    /// How many peers have a reachable entry, online or not, with an address or without.
    pub total: u32,
    /// The groups that reachable entries are shared with, each once, in order of name.
    pub groups: Vec<GroupName>,
    /// Online sources that have an address, in order of peer id from the pivot on (a peer with the pivot's own id comes
    /// first), around the circle; at most `limit`. A peer with a reachable entry, of whatever size, is a full source,
    /// whatever else it announced. A partial source is one only for a viewer in all groups that it is noted for.
    pub sources: Vec<FoundSource>,
}

/// A peer that has a content, or part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSource {
    /// The peer.
    pub peer: PeerId,
    /// Whose peer.
    pub owner: Username,
    /// Where it can be reached, best first.
    pub addresses: Vec<PeerAddr>,
    /// How much it has.
    pub kind: SourceKind,
    /// The groups that the viewer is told of it for, in order of name; none: everybody is. Of a full source, unless it
    /// has a reachable entry that is for everybody, the first of the groups that its reachable entries are shared with;
    /// of a partial one all that it is noted for.
    pub groups: Vec<GroupName>,
}

/// That a peer holds part of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSource {
    /// The content.
    pub content: ContentId,
    /// Until when it counts.
    pub until: Timestamp,
    /// It is told to those who are in all of these groups, each once, in order of name; none: to everybody.
    pub groups: Vec<GroupName>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its name: no two groups share one.
    pub name: GroupName,
    /// Its owner, who is a member too.
    pub owner: Username,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Hash of an invite's code; its hex form names the invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteHash(pub [u8; 32]);

/// An invite, known by the hash of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRecord {
    /// Hash of the code.
    pub hash: InviteHash,
    /// Who made it.
    pub created_by: Username,
    /// The group that the new user joins.
    pub group: Option<GroupName>,
    /// How many accounts can still be made with it.
    pub uses_left: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Which accounts an operator looks at, and at what time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverviewRequest {
    /// Names begin with this.
    pub prefix: String,
    /// Names come after this one.
    pub after: Option<Username>,
    /// Most accounts.
    pub limit: u32,
    /// Sessions that ended by this time do not count.
    pub now: Timestamp,
    /// Peers heard of at this time or later are online.
    pub online_since: Timestamp,
}

/// How much an index holds, for metrics and the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Accounts.
    pub users: u64,
    /// Sessions that have not expired.
    pub sessions: u64,
    /// Peers, online or not.
    pub peers: u64,
    /// Peers that are online.
    pub online: u64,
    /// Catalog entries.
    pub entries: u64,
    /// Sum of the entries' sizes in bytes, saturating.
    pub bytes: u64,
}
