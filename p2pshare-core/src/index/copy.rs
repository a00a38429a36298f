//! Copying a community from one store to another, and looking whether a store is in order.
//!
//! All of it goes through the traits of a store, user by user: what is copied keeps every law of the store that it comes
//! into, and what is there already stays, so that a copy that was broken off goes on when it is done again. Nothing else
//! may write to either store meanwhile.

mod check;

use std::fmt::Debug;

pub use check::check;

use super::{
    model::{GroupRecord, Peer, User},
    store::{IndexStore, StoreError, StoreResult},
};
use crate::{
    api::{CatalogChange, Entry, MAX_PUBLISH_BATCH},
    identity::{PeerId, Username},
    path::SharePath,
    time::Timestamp,
};

/// Users and entries that are read at once.
const PAGE: u32 = 1000;

/// Who is told how far it is.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// How far a copy, a survey or a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Users that are done.
    pub users: u64,
    /// Entries that are done.
    pub entries: u64,
}

/// How much there is of everything, and a checksum that tells whether two stores hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Accounts.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub members: u64,
    /// Sessions, ended or not.
    pub sessions: u64,
    /// Invites.
    pub invites: u64,
    /// Peers.
    pub peers: u64,
    /// Catalog entries.
    pub entries: u64,
    /// Partial sources.
    pub partial_sources: u64,
    /// BLAKE3 hash of all of it, in order.
    pub checksum: [u8; 32],
}

/// Copies all of `from` into `to`.
///
/// # Errors
/// [`StoreError`] of either store, also if `to` has something under the same name that is another. What was copied
/// stays; doing it again goes on.
pub async fn copy(
    from: &dyn IndexStore,
    to: &dyn IndexStore,
    progress: OnProgress<'_>,
) -> StoreResult<()> {
    // Who is disabled has neither a session nor an invite nor a peer online, and is made so at last: a disabled user's
    // peers could not be announced.
    let mut users = Users::of(from);
    while let Some(user) = users.next().await? {
        let enabled = User { disabled: false, ..user };
        to.insert_user(&enabled, false).await?;
        let there = to.user(&enabled.name).await?.map(|there| User { disabled: false, ..there });
        same(&there, &Some(enabled), "user")?;
    }
    let mut users = Users::of(from);
    while let Some(user) = users.next().await? {
        copy_groups(from, to, &user.name).await?;
    }
    let mut done = Progress::default();
    let mut users = Users::of(from);
    while let Some(user) = users.next().await? {
        copy_user(from, to, &user, &mut done, progress).await?;
        done.users += 1;
        progress(done);
    }
    let mut users = Users::of(from);
    while let Some(user) = users.next().await? {
        if user.disabled {
            to.set_disabled(&user.name, true).await?;
        }
    }
    Ok(())
}

async fn copy_groups(
    from: &dyn IndexStore,
    to: &dyn IndexStore,
    owner: &Username,
) -> StoreResult<()> {
    for group in owned(from, owner).await? {
        to.insert_group(&group).await?;
        same(&to.group(&group.name).await?, &Some(group.clone()), "group")?;
        for member in from.members(&group.name).await? {
            to.add_member(&group.name, &member).await?;
        }
    }
    Ok(())
}

async fn copy_user(
    from: &dyn IndexStore,
    to: &dyn IndexStore,
    user: &User,
    done: &mut Progress,
    progress: OnProgress<'_>,
) -> StoreResult<()> {
    for session in from.sessions_of(&user.name).await? {
        if !to.open_session(&session, &user.verifier, u32::MAX).await? {
            // It may have been used since a copy that was broken off.
            to.extend_session(&session.token, session.expires_at).await?;
        }
    }
    for invite in from.invites_by(&user.name).await? {
        to.insert_invite(&invite).await?;
    }
    for peer in from.peers_of(&user.name).await? {
        copy_peer(from, to, &peer, done, progress).await?;
    }
    Ok(())
}

async fn copy_peer(
    from: &dyn IndexStore,
    to: &dyn IndexStore,
    peer: &Peer,
    done: &mut Progress,
    progress: OnProgress<'_>,
) -> StoreResult<()> {
    // Stale, if it was copied before.
    to.announce(peer).await?;
    same(&to.peer(&peer.id).await?, &Some(peer.clone()), "peer")?;
    // A peer whose entries are all there was copied whole, unless the survey says otherwise.
    let count = from.count_entries(&peer.id).await?;
    if to.count_entries(&peer.id).await? != count {
        let mut entries = Entries::of(from, peer.id);
        loop {
            let page = entries.next().await?;
            if page.is_empty() {
                break;
            }
            for together in page.chunk_by(|(_, a), (_, b)| a == b) {
                publish(to, peer, together).await?;
            }
            done.entries += page.len() as u64;
            progress(*done);
        }
    } else {
        done.entries += count;
    }
    for partial in from.partial_sources_of(&peer.id).await? {
        if to.add_partial_source(&peer.owner, &peer.id, &partial).await?.is_none() {
            return Err(failed(format!("a partial source of peer {} cannot be noted", peer.id)));
        }
    }
    Ok(())
}

/// Publishes entries that were published at the same time.
async fn publish(
    to: &dyn IndexStore,
    peer: &Peer,
    together: &[(Entry, Timestamp)],
) -> StoreResult<()> {
    for some in together.chunks(MAX_PUBLISH_BATCH) {
        let Some((_, at)) = some.first() else { continue };
        let changes: Vec<_> =
            some.iter().map(|(entry, _)| CatalogChange::Publish(entry.clone())).collect();
        if to.publish(&peer.owner, &peer.id, &changes, *at).await?.is_none() {
            return Err(failed(format!("entries of peer {} cannot be published", peer.id)));
        }
    }
    Ok(())
}

/// Reads all of a store.
///
/// # Errors
/// [`StoreError`] of the store.
pub async fn survey(store: &dyn IndexStore, progress: OnProgress<'_>) -> StoreResult<Survey> {
    let mut sum = Sum::new();
    let mut users = Users::of(store);
    while let Some(user) = users.next().await? {
        // A verifier does not show itself.
        sum.add(|all| &mut all.users, &(&user, user.verifier.as_str()));
        for group in owned(store, &user.name).await? {
            sum.add(|all| &mut all.groups, &group);
            for member in store.members(&group.name).await? {
                sum.add(|all| &mut all.members, &(&group.name, member));
            }
        }
        for session in store.sessions_of(&user.name).await? {
            // How a token's hash is shown is cut short.
            sum.add(|all| &mut all.sessions, &(&session, session.token.as_bytes()));
        }
        // An older store can have invites of who is disabled, and they are not copied.
        let invites = if user.disabled { Vec::new() } else { store.invites_by(&user.name).await? };
        for invite in invites {
            sum.add(|all| &mut all.invites, &invite);
        }
        for peer in store.peers_of(&user.name).await? {
            sum.add(|all| &mut all.peers, &(&peer, peer.id.as_bytes()));
            let mut entries = Entries::of(store, peer.id);
            loop {
                let page = entries.next().await?;
                if page.is_empty() {
                    break;
                }
                for dated in &page {
                    sum.add(|all| &mut all.entries, &(dated, dated.0.content.as_bytes()));
                }
                progress(sum.progress());
            }
            for held in store.partial_sources_of(&peer.id).await? {
                sum.add(|all| &mut all.partial_sources, &(&held, held.content.as_bytes()));
            }
        }
        progress(sum.progress());
    }
    Ok(sum.finish())
}

/// All users, in order.
struct Users<'a> {
    store: &'a dyn IndexStore,
    page: std::vec::IntoIter<User>,
    last: Option<Username>,
}

impl<'a> Users<'a> {
    fn of(store: &'a dyn IndexStore) -> Self {
        Self { store, page: Vec::new().into_iter(), last: None }
    }

    async fn next(&mut self) -> StoreResult<Option<User>> {
        if self.page.len() == 0 {
            self.page = self.store.users(self.last.as_ref(), PAGE).await?.into_iter();
        }
        let user = self.page.next();
        self.last = user.as_ref().map(|user| user.name.clone()).or(self.last.take());
        Ok(user)
    }
}

/// The entries of a peer, in order.
struct Entries<'a> {
    store: &'a dyn IndexStore,
    peer: PeerId,
    last: Option<SharePath>,
}

impl<'a> Entries<'a> {
    fn of(store: &'a dyn IndexStore, peer: PeerId) -> Self {
        Self { store, peer, last: None }
    }

    /// The next page; empty after the last.
    async fn next(&mut self) -> StoreResult<Vec<(Entry, Timestamp)>> {
        let page = self.store.dated_entries(&self.peer, self.last.as_ref(), PAGE).await?;
        self.last = page.last().map(|(entry, _)| entry.path.clone());
        Ok(page)
    }
}

/// The groups that a user owns.
async fn owned(store: &dyn IndexStore, owner: &Username) -> StoreResult<Vec<GroupRecord>> {
    let groups = store.groups_of(owner).await?;
    Ok(groups.into_iter().filter(|group| group.owner == *owner).collect())
}

fn same<T: PartialEq>(there: &Option<T>, copied: &Option<T>, what: &str) -> StoreResult<()> {
    if there == copied {
        return Ok(());
    }
    Err(failed(format!("the store that is copied into has another {what} of the same name")))
}

fn failed(what: String) -> StoreError {
    StoreError::Failed(what.into())
}

/// Counts and hashes.
struct Sum {
    survey: Survey,
    hasher: blake3::Hasher,
}

impl Sum {
    fn new() -> Self {
        let survey = Survey {
            users: 0,
            groups: 0,
            members: 0,
            sessions: 0,
            invites: 0,
            peers: 0,
            entries: 0,
            partial_sources: 0,
            checksum: [0; 32],
        };
        Self { survey, hasher: blake3::Hasher::new() }
    }

    fn add(&mut self, count: impl Fn(&mut Survey) -> &mut u64, one: &impl Debug) {
        *count(&mut self.survey) += 1;
        self.hasher.update(format!("{one:?}\n").as_bytes());
    }

    fn progress(&self) -> Progress {
        Progress { users: self.survey.users, entries: self.survey.entries }
    }

    fn finish(mut self) -> Survey {
        self.survey.checksum = *self.hasher.finalize().as_bytes();
        self.survey
    }
}
