//! The traits of an index store, and their laws.
//!
//! A store keeps what it is told and answers what it is asked; every rule (who may do what) is in
//! [`Index`](super::Index). Each law below is a test of the suite in `testing::store`, which every backend passes, but
//! for what becomes of a store whose process or machine is killed: that is tried in the tests of each backend that
//! outlives one. [`backend::memory`](crate::backend::memory) is the reference that the others are held against.
//!
//! # Laws of every method
//!
//! - **Atomic.** A method does all that it says or nothing, also when the process is killed in the middle.
//! - **Durable.** When it returns `Ok`, what it did outlives the process (in stores that outlive it at all).
//! - **Read your writes.** What starts after a method returned sees what it did, through any clone of the store.
//! - **Cancel-safe.** Dropping the future of a read does nothing; dropping that of a write leaves it done or not done.
//! - **Time is given.** No method reads a clock, but for [`lease`](IndexStore::lease), which is about real time.
//! - **Bounded.** No answer is larger than the limit asked for.
//! - **Values.** Sizes are at most [`MAX_CONTENT_LEN`](crate::content::MAX_CONTENT_LEN), which the rules see to; any
//!   other value that its type can have is kept as it is. In a [`Search`] and its filter, sizes can be any `u64`.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use super::{
    model::{
        AnnounceOutcome, GroupRecord, InviteHash, InviteRecord, KeptSessions, LocateRequest,
        Location, OpenSession, OverviewRequest, PartialSource, Peer, Session, StoreCounts, User,
        Viewer,
    },
    search::{Search, SearchSlice},
};
use crate::{
    api::{CatalogChange, Entry, FileListing, Hit, Published, UserFile, UserOverview},
    auth::{TokenHash, Verifier},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    path::SharePath,
    time::Timestamp,
};

/// What a store can fail with. What is merely absent or taken is an answer, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached or is too busy. The same call may succeed later.
    #[error("the store is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store answered with something it must not hold, or failed in a way that trying again does not mend.
    #[error("the store failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store was written by a newer version of this program.
    #[error(
        "the store has schema version {found}, this program knows {known}: run the version of p2pshare-index that \
         wrote it, or a newer one"
    )]
    NewerSchema {
        /// Version in the store.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
    },
}

/// What a store answers with.
pub type StoreResult<T> = Result<T, StoreError>;

/// Accounts.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds an account. `false`: the name is taken and nothing changed.
    ///
    /// With `only_if_first`, it is added only if there is no account at all; of several at once, one wins.
    async fn insert_user(&self, user: &User, only_if_first: bool) -> StoreResult<bool>;

    /// The account of this name.
    async fn user(&self, name: &Username) -> StoreResult<Option<User>>;

    /// Sets what the password is checked against, and ends the account's sessions but those that are `kept`, in the same
    /// step; with `expected`, only if that is what it is checked against at this very moment. `false`: no such account,
    /// or not as expected; nothing changed.
    async fn set_verifier(
        &self,
        name: &Username,
        verifier: &Verifier,
        expected: Option<&Verifier>,
        kept: KeptSessions,
    ) -> StoreResult<bool>;

    /// Disables or enables an account; disabling ends all its sessions, takes its peers offline (as by
    /// [`PeerStore::peer_leaves`]) and deletes the invites that it made in the same step; its entries stay. `false`: no
    /// such account.
    async fn set_disabled(&self, name: &Username, disabled: bool) -> StoreResult<bool>;

    /// Makes an account an operator, or no longer one. `false`: no such account.
    async fn set_operator(&self, name: &Username, operator: bool) -> StoreResult<bool>;

    /// Deletes an account with its sessions, peers, entries, partial sources, invites, memberships and the groups that
    /// it owns (as by [`GroupStore::delete_group`]). The name is free again. `false`: no such account.
    async fn delete_user(&self, name: &Username) -> StoreResult<bool>;

    /// Accounts in order of name, after `after`, at most `limit`.
    async fn users(&self, after: Option<&Username>, limit: u32) -> StoreResult<Vec<User>>;
}

/// Sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session, if at this very moment the account exists, is not disabled and its password is checked against
    /// `verifier` (so that a login cannot slip past a change of password), and ends those of the user's other sessions
    /// that would end first so that at most `keep` remain with this one, which remains always. Those that would end
    /// after this one count as if they ended with it, for they are from a time when sessions lasted longer; of equal ends
    /// the one goes that was opened first, then that of the smaller token. `false`: one of these does not hold, or there
    /// is a session of this token; nothing changed.
    async fn open_session(
        &self,
        session: &Session,
        verifier: &Verifier,
        keep: u32,
    ) -> StoreResult<bool>;

    /// The session of this token, unless it ended: `expires_at` is after `now`.
    async fn session(&self, token: &TokenHash, now: Timestamp) -> StoreResult<Option<OpenSession>>;

    /// Has a session end at `expires_at`, if it would end earlier. `false`: there is none; one that ends later anyway
    /// stays as it is.
    async fn extend_session(&self, token: &TokenHash, expires_at: Timestamp) -> StoreResult<bool>;

    /// Ends one session. `false`: there was none. One that expired is there until it is purged.
    async fn end_session(&self, token: &TokenHash) -> StoreResult<bool>;

    /// Ends all sessions of a user, but for `except`; says how many.
    async fn end_sessions(&self, user: &Username, except: Option<&TokenHash>) -> StoreResult<u64>;

    /// All sessions of a user that are there, ended or not, in order of token: to copy a store.
    async fn sessions_of(&self, user: &Username) -> StoreResult<Vec<Session>>;

    /// Forgets sessions that ended at `now` or before; says how many. [`session`](Self::session) gave none of them.
    async fn purge_sessions(&self, now: Timestamp) -> StoreResult<u64>;
}

/// Peers and their presence.
#[async_trait]
pub trait PeerStore: Send + Sync {
    /// Stores an announce, in place of all that was stored of the peer, if at this very moment its owner has an account
    /// that is not disabled, and the peer is new or has the same owner and an older `announced_at`. The first of
    /// [`NoOwner`](AnnounceOutcome::NoOwner), [`OwnedByAnother`](AnnounceOutcome::OwnedByAnother),
    /// [`Stale`](AnnounceOutcome::Stale) that holds is the answer otherwise. The peer's entries stay as they are.
    async fn announce(&self, peer: &Peer) -> StoreResult<AnnounceOutcome>;

    /// The peer.
    async fn peer(&self, id: &PeerId) -> StoreResult<Option<Peer>>;

    /// A user's peers, in order of id.
    async fn peers_of(&self, owner: &Username) -> StoreResult<Vec<Peer>>;

    /// Notes heartbeats, many in one write; each is noted or not by itself. A peer that is not there or said goodbye is passed over, and a time older
    /// than the one stored changes nothing.
    async fn touch_peers(&self, seen: &[(PeerId, Timestamp)]) -> StoreResult<()>;

    /// The peer says goodbye: it is offline until it announces itself again, and its partial sources are forgotten.
    /// `false`: no such peer.
    async fn peer_leaves(&self, id: &PeerId) -> StoreResult<bool>;

    /// Forgets a peer with its entries and partial sources. `false`: no such peer.
    async fn delete_peer(&self, id: &PeerId) -> StoreResult<bool>;

    /// Forgets peers whose newest sign of life (their announce, and what [`touch_peers`](Self::touch_peers) told while
    /// they were online) is before `before`, whether they said goodbye or not, with their
    /// entries and partial sources, at most `limit` at once, those first that were silent longest, then in order of id;
    /// says how many. Also forgets partial sources that ended before `before`, which are none by then.
    async fn purge_peers(&self, before: Timestamp, limit: u32) -> StoreResult<u64>;
}

/// What is shared.
#[async_trait]
pub trait CatalogStore: Send + Sync {
    /// Applies changes to a peer's entries, in order, all or none; what is counted are the changes, each as it finds the
    /// catalog after those before it. `None`: no such peer, it is not `owner`'s, or a change publishes to a group that
    /// the owner is not in at this very moment (so that a publish cannot slip past the end of a membership); nothing
    /// changed.
    ///
    /// An entry that is published again just as it was keeps its time; any other publish has the time `now`, also that
    /// of a path that was withdrawn before.
    async fn publish(
        &self,
        owner: &Username,
        peer: &PeerId,
        changes: &[CatalogChange],
        now: Timestamp,
    ) -> StoreResult<Option<Published>>;

    /// A peer's entries in order of path, after `after`, at most `limit`.
    async fn entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<Entry>>;

    /// As [`entries`](Self::entries), each with the time that it was published: to copy a store.
    async fn dated_entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<(Entry, Timestamp)>>;

    /// The contents of which a peer holds part, in order of content: to copy a store.
    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<PartialSource>>;

    /// How many entries a peer has.
    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64>;

    /// How many entries all peers of a user have.
    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64>;

    /// Under how many of these paths a peer has entries. 0: no such peer, or it is not `owner`'s.
    async fn count_known_paths(
        &self,
        owner: &Username,
        peer: &PeerId,
        paths: &BTreeSet<SharePath>,
    ) -> StoreResult<u64>;

    /// Searches what the viewer sees, as [`Search`] says.
    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice>;

    /// The hits of one content that the viewer reaches, whatever its names: one for each size that is claimed, those with
    /// the most sources first, then those with the most online, then the smallest. At most `limit`; of more than a
    /// hundred sizes only the hundred that most peers claim need be looked at, whoever sees that. Names (at most [`NAMES_PER_HIT`](super::search::NAMES_PER_HIT)) are in order of
    /// path, then owner; names, time and sources come from all entries of this content and size that the viewer reaches.
    async fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Hit>>;

    /// Where contents are, in the order asked for, each once. A content of which the viewer reaches nothing is left out.
    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>>;

    /// The files that the viewer sees below `folder` of a user (or all; or the one file of this path), each path and
    /// content once whatever the number of peers, in order of ([`SharePath`], content id, size), after `after`, at
    /// most `limit`.
    async fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&UserFile>,
        limit: u32,
    ) -> StoreResult<Vec<UserFile>>;

    /// What the viewer sees directly in `folder` of a user (or at the top; a file's own path lists that file): a
    /// folder once, a file as in [`user_files`](Self::user_files). Folders first in order of path, then files in their
    /// order; after `after`, at most `limit`.
    async fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
        limit: u32,
    ) -> StoreResult<Vec<FileListing>>;

    /// Notes that a peer holds part of a content, and gives the groups that it is noted for now, in order of name.
    /// `None`: no such peer, it is not `owner`'s, it said goodbye, or the owner is not in all of the groups at this very
    /// moment; nothing changed.
    ///
    /// What was noted before is replaced, but its groups stay, so that a content that was downloaded as a group's is not
    /// told to others because it has come to be shared elsewhere too. With the end of a membership, and with a group,
    /// goes every note for it ([`GroupStore`]).
    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        partial: &PartialSource,
    ) -> StoreResult<Option<Vec<GroupName>>>;

    /// A peer no longer holds part of a content. `false`: that was not noted, or the peer is not `owner`'s.
    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool>;
}

/// Private groups.
///
/// Whatever ends a membership withdraws what the member shared with the group, and forgets the partial sources of their
/// peers that are noted for it, so that every entry of a group and every partial source noted for it belongs to a member.
#[async_trait]
pub trait GroupStore: Send + Sync {
    /// Adds a group with its owner as member. `false`: the name is taken or there is no such user.
    async fn insert_group(&self, group: &GroupRecord) -> StoreResult<bool>;

    /// The group of this name.
    async fn group(&self, name: &GroupName) -> StoreResult<Option<GroupRecord>>;

    /// The groups of a user, in order of name.
    async fn groups_of(&self, user: &Username) -> StoreResult<Vec<GroupRecord>>;

    /// The members of a group in order of name; empty if there is no such group.
    async fn members(&self, name: &GroupName) -> StoreResult<Vec<Username>>;

    /// Adds a member. `false`: no such group or user, or a member already.
    async fn add_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool>;

    /// Withdraws what these users have shared with a group, at most `limit` entries, and says how many that were: before
    /// memberships are ended that have very much, which a store may not do in one step. One that does need not (0).
    async fn withdraw_shared(
        &self,
        _name: &GroupName,
        _users: &[Username],
        _limit: u32,
    ) -> StoreResult<u64> {
        Ok(0)
    }

    /// Removes a member other than the owner. `false`: no such group, no such member, or the owner.
    async fn remove_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool>;

    /// Gives a group another owner; the one before remains a member. Deletes the invites into the group that anybody but
    /// the new owner made, in the same step. `false`: no such group, or the user is not a member; nothing changed.
    async fn set_group_owner(&self, name: &GroupName, owner: &Username) -> StoreResult<bool>;

    /// Deletes a group, its memberships, the entries shared with it, the partial sources noted for it and the invites
    /// into it. `false`: no such group.
    async fn delete_group(&self, name: &GroupName) -> StoreResult<bool>;
}

/// Invites.
#[async_trait]
pub trait InviteStore: Send + Sync {
    /// Adds an invite, if at this very moment its maker has an account that is not disabled and its group exists.
    /// `false`: one of these does not hold, or the same code exists; nothing changed.
    async fn insert_invite(&self, invite: &InviteRecord) -> StoreResult<bool>;

    /// The invite of this code, whether or not it is still good.
    async fn invite(&self, hash: &InviteHash) -> StoreResult<Option<InviteRecord>>;

    /// Adds an account by an invite in one step: the invite is good (`expires_at` after `now`, uses left), loses one
    /// use, the account is added and joins the invite's group. That the invite is not good is told before that the name
    /// is taken.
    async fn redeem_invite(
        &self,
        hash: &InviteHash,
        user: &User,
        now: Timestamp,
    ) -> StoreResult<RedeemOutcome>;

    /// The invites that a user made, newest first, then in order of hash.
    async fn invites_by(&self, user: &Username) -> StoreResult<Vec<InviteRecord>>;

    /// The invites of all users that are good at `now` (`expires_at` after it, uses left), those first that end last, then
    /// in order of hash; after the one that ends at and has what `after` says, which need not be there; at most `limit`.
    async fn good_invites(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, InviteHash)>,
        limit: u32,
    ) -> StoreResult<Vec<InviteRecord>>;

    /// Deletes an invite. `false`: there was none.
    async fn delete_invite(&self, hash: &InviteHash) -> StoreResult<bool>;

    /// Forgets invites that ended at `now` or before; says how many.
    async fn purge_invites(&self, now: Timestamp) -> StoreResult<u64>;
}

/// What became of an attempt to use an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedeemOutcome {
    /// The account was made.
    Registered,
    /// No such code, it has ended, or it has no uses left. Nothing changed.
    NotGood,
    /// The name is taken. Nothing changed.
    NameTaken,
}

/// Everything an index keeps. A clone of the `Arc` around it shares the same data.
#[async_trait]
pub trait IndexStore:
    UserStore + SessionStore + PeerStore + CatalogStore + GroupStore + InviteStore + 'static
{
    /// Fails if the store cannot answer now. Cheap: asked by health checks.
    async fn check(&self) -> StoreResult<()>;

    /// Reads all that is kept and gives what of it is damaged, in words for the operator. Stores that cannot tell give
    /// nothing, as this does.
    async fn flaws(&self) -> StoreResult<Vec<String>> {
        Ok(Vec::new())
    }

    /// How much is in it. Sessions that ended by `now` do not count; peers heard of at `online_since` or later are
    /// online.
    async fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreResult<StoreCounts>;

    /// Accounts in order of name, each with how much is its own, all of one moment. What it costs depends on the accounts
    /// in the answer, not on how many entries they have.
    async fn overviews(&self, request: &OverviewRequest) -> StoreResult<Vec<UserOverview>>;

    /// Takes the lease of this name for `lasts` from now on, by the store's own clock, or keeps it for so long, if no
    /// other holder has it. Of several processes over one store the holder does what one of them has to do.
    ///
    /// Stores that no other process works on give it to everybody, as this does.
    async fn lease(&self, name: &str, holder: &str, lasts: Duration) -> StoreResult<bool> {
        let _ = (name, holder, lasts);
        Ok(true)
    }

    /// What kind of store this is, for people: "memory", "SQLite".
    fn kind(&self) -> &'static str;
}
