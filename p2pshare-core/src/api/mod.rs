//! The types of the index's HTTP API, shared by the server and its clients.
//!
//! They are plain data: what is in them has been parsed ([`SharePath`](crate::path::SharePath),
//! [`Username`](crate::identity::Username) …) and is therefore well formed, but nothing here knows a rule of the
//! index or how a request travels.

mod account;
mod catalog;
mod community;
mod grant;
mod operator;
mod peer;
mod problem;

pub use account::{
    Account, ChangePassword, DeleteAccount, IndexInfo, Login, Register, Registration,
    SessionOpened, SessionsEnded,
};
pub use catalog::{
    BrowsePage, BrowseQuery, CatalogChange, CatalogPage, CatalogQuery, Entry, FileListing,
    GroupReach, Hit, HitName, Kind, MAX_PUBLISH_BATCH, PublishAnswer, PublishRequest, Published,
    SearchPage, SearchQuery, Sort, UserFile, Visibility,
};
pub use community::{
    AddMember, CreateGroup, CreateInvite, Group, GroupList, GroupMembers, Invite, InviteCreated,
    InviteList, TransferGroup,
};
pub use grant::{
    ContentDetails, GrantRequest, Grants, Located, MAX_GRANT_BATCH, MAX_GRANT_SOURCES,
    PartialNoted, PushGrant, PushGrantRequest, PushGrants, Source, SourceKind,
};
pub use operator::{
    AuditEvent, AuditOutcome, AuditPage, AuditQuery, ChangeUser, IndexCounts, IndexLoad,
    InvitePage, InvitesQuery, StoreLoad, UserOverview, UserOverviews, UsersQuery,
};
pub use peer::{
    AddressCheck, Announce, Announced, Heartbeat, PeerList, PeerOverview, Reachability, Reached,
};
pub use problem::{Problem, ProblemKind};
