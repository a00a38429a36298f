//! Every call of the API, one method each.

use p2pshare_core::{
    api::{
        Account, AddMember, Announce, Announced, BrowsePage, BrowseQuery, CatalogPage,
        CatalogQuery, ChangePassword, ContentDetails, CreateGroup, CreateInvite, DeleteAccount,
        GrantRequest, Grants, Group, GroupList, GroupMembers, Heartbeat, IndexInfo, InviteCreated,
        InviteList, Login, PartialNoted, PeerList, PublishAnswer, PublishRequest, PushGrantRequest,
        PushGrants, Reachability, Register, SearchPage, SearchQuery, SessionOpened, SessionsEnded,
        TransferGroup,
    },
    content::ContentId,
    identity::{GroupName, PeerId, Reach, Username},
};
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{ClientError, IndexClient, Repeat};

const NONE: Option<&()> = None;

type Answer<T> = Result<T, ClientError>;

/// The calls. Their errors are [`ClientError::Problem`] where the index refuses, else what kept the call from being
/// answered.
impl IndexClient {
    /// What the index says of itself. Needs no session.
    pub async fn info(&self) -> Answer<IndexInfo> {
        self.read(&["v1", "index"], NONE).await
    }

    /// Makes an account. Needs no session.
    pub async fn register(&self, request: &Register) -> Answer<Account> {
        self.call(Repeat::Unsafe, Method::POST, &["v1", "users"], Some(request), NONE).await
    }

    /// Opens a session. Needs none.
    pub async fn log_in(&self, request: &Login) -> Answer<SessionOpened> {
        self.call(Repeat::Safe, Method::POST, &["v1", "sessions"], Some(request), NONE).await
    }

    /// Ends this session.
    pub async fn log_out(&self) -> Answer<()> {
        self.call(Repeat::Unsafe, Method::DELETE, &["v1", "sessions", "current"], NONE, NONE).await
    }

    /// Ends all sessions of the user.
    pub async fn log_out_everywhere(&self) -> Answer<SessionsEnded> {
        self.call(Repeat::Unsafe, Method::DELETE, &["v1", "sessions"], NONE, NONE).await
    }

    /// The session's own account.
    pub async fn me(&self) -> Answer<Account> {
        self.read(&["v1", "me"], NONE).await
    }

    /// Changes the password.
    pub async fn change_password(&self, request: &ChangePassword) -> Answer<()> {
        self.call(Repeat::Unsafe, Method::PUT, &["v1", "me", "password"], Some(request), NONE).await
    }

    /// Deletes the account.
    pub async fn delete_account(&self, request: &DeleteAccount) -> Answer<()> {
        self.call(Repeat::Unsafe, Method::DELETE, &["v1", "me"], Some(request), NONE).await
    }

    /// Announces a peer. An announce that arrived twice is refused as stale, so whoever calls signs anew to repeat.
    pub async fn announce(&self, peer: &PeerId, request: &Announce) -> Answer<Announced> {
        self.call(
            Repeat::Unsafe,
            Method::PUT,
            &["v1", "peers", &peer.to_string()],
            Some(request),
            NONE,
        )
        .await
    }

    /// The peer is still there.
    pub async fn heartbeat(&self, peer: &PeerId) -> Answer<Heartbeat> {
        self.write(Method::POST, &["v1", "peers", &peer.to_string(), "heartbeat"], NONE).await
    }

    /// Has the index try whether the peer can be reached.
    pub async fn reachability(&self, peer: &PeerId) -> Answer<Reachability> {
        self.write(Method::POST, &["v1", "peers", &peer.to_string(), "reachability"], NONE).await
    }

    /// The peer goes offline.
    pub async fn leave(&self, peer: &PeerId) -> Answer<()> {
        self.write(Method::DELETE, &["v1", "peers", &peer.to_string()], NONE).await
    }

    /// The user's own peers.
    pub async fn own_peers(&self) -> Answer<PeerList> {
        self.read(&["v1", "me", "peers"], NONE).await
    }

    /// Forgets a peer of the user with all it published.
    pub async fn forget_peer(&self, peer: &PeerId) -> Answer<()> {
        self.write(Method::DELETE, &["v1", "me", "peers", &peer.to_string()], NONE).await
    }

    /// Publishes and withdraws files.
    pub async fn publish(&self, peer: &PeerId, request: &PublishRequest) -> Answer<PublishAnswer> {
        self.write(Method::POST, &["v1", "peers", &peer.to_string(), "files"], Some(request)).await
    }

    /// A page of what the peer has published.
    pub async fn entries(&self, peer: &PeerId, query: &CatalogQuery) -> Answer<CatalogPage> {
        self.read(&["v1", "peers", &peer.to_string(), "files"], Some(query)).await
    }

    /// Searches.
    pub async fn search(&self, query: &SearchQuery) -> Answer<SearchPage> {
        self.read(&["v1", "search"], Some(query)).await
    }

    /// Lists what a user shares.
    pub async fn browse(&self, user: &Username, query: &BrowseQuery) -> Answer<BrowsePage> {
        self.read(&["v1", "users", user.as_str(), "files"], Some(query)).await
    }

    /// What the index knows of a content.
    pub async fn content(&self, content: &ContentId) -> Answer<ContentDetails> {
        self.read(&["v1", "contents", &content.to_string()], NONE).await
    }

    /// Sources of contents and grants to fetch them.
    pub async fn grants(&self, request: &GrantRequest) -> Answer<Grants> {
        self.write(Method::POST, &["v1", "grants"], Some(request)).await
    }

    /// Grants to push to a user's peers.
    pub async fn push_grants(&self, request: &PushGrantRequest) -> Answer<PushGrants> {
        self.write(Method::POST, &["v1", "push-grants"], Some(request)).await
    }

    /// The peer holds part of a content and serves it.
    pub async fn add_partial_source(
        &self,
        content: &ContentId,
        peer: &PeerId,
    ) -> Answer<PartialNoted> {
        let path = ["v1", "contents", &content.to_string(), "sources", &peer.to_string()];
        self.write(Method::PUT, &path, NONE).await
    }

    /// The peer no longer serves part of a content.
    pub async fn remove_partial_source(&self, content: &ContentId, peer: &PeerId) -> Answer<()> {
        let path = ["v1", "contents", &content.to_string(), "sources", &peer.to_string()];
        self.write(Method::DELETE, &path, NONE).await
    }

    /// The user's groups.
    pub async fn groups(&self) -> Answer<GroupList> {
        self.read(&["v1", "groups"], NONE).await
    }

    /// What tells the group of this name that the user is in from any other that gets the name; `None`: they are in none.
    pub async fn reach_of(&self, group: &GroupName) -> Result<Option<Reach>, ClientError> {
        let groups = self.groups().await?.groups;
        Ok(groups.into_iter().find(|one| one.name == *group).map(|group| group.reach))
    }

    /// Makes a group.
    pub async fn create_group(&self, request: &CreateGroup) -> Answer<Group> {
        self.call(Repeat::Unsafe, Method::POST, &["v1", "groups"], Some(request), NONE).await
    }

    /// A group's members.
    pub async fn group_members(&self, group: &GroupName) -> Answer<GroupMembers> {
        self.read(&["v1", "groups", group.as_str(), "members"], NONE).await
    }

    /// Adds a member to a group.
    pub async fn add_member(&self, group: &GroupName, request: &AddMember) -> Answer<()> {
        self.write(Method::POST, &["v1", "groups", group.as_str(), "members"], Some(request)).await
    }

    /// Removes a member from a group.
    pub async fn remove_member(&self, group: &GroupName, user: &Username) -> Answer<()> {
        let path = ["v1", "groups", group.as_str(), "members", user.as_str()];
        self.call(Repeat::Unsafe, Method::DELETE, &path, NONE, NONE).await
    }

    /// Gives a group to another member.
    pub async fn transfer_group(&self, group: &GroupName, request: &TransferGroup) -> Answer<()> {
        self.call(
            Repeat::Unsafe,
            Method::PUT,
            &["v1", "groups", group.as_str(), "owner"],
            Some(request),
            NONE,
        )
        .await
    }

    /// Deletes a group.
    pub async fn delete_group(&self, group: &GroupName) -> Answer<()> {
        self.call(Repeat::Unsafe, Method::DELETE, &["v1", "groups", group.as_str()], NONE, NONE)
            .await
    }

    /// The invites that the user made.
    pub async fn invites(&self) -> Answer<InviteList> {
        self.read(&["v1", "invites"], NONE).await
    }

    /// Makes an invite code.
    pub async fn create_invite(&self, request: &CreateInvite) -> Answer<InviteCreated> {
        self.call(Repeat::Unsafe, Method::POST, &["v1", "invites"], Some(request), NONE).await
    }

    /// Revokes an invite.
    pub async fn revoke_invite(&self, id: &str) -> Answer<()> {
        self.call(Repeat::Unsafe, Method::DELETE, &["v1", "invites", id], NONE, NONE).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&(impl Serialize + Sync)>,
    ) -> Answer<T> {
        self.call(Repeat::Safe, Method::GET, path, NONE, query).await
    }

    /// A write that can be sent twice without harm.
    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Answer<T> {
        self.call(Repeat::Safe, method, path, body, NONE).await
    }
}
