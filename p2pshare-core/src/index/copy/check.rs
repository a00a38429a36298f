//! Looking whether a store is in order.

use std::collections::BTreeSet;

use super::{Entries, OnProgress, Progress, Users};
use crate::{
    api::Visibility,
    index::store::{IndexStore, StoreResult},
    time::Timestamp,
};

/// Looks whether a store keeps its promises: who owns a group is in it, entries of a group belong to members, counters
/// are right, nothing belongs to somebody who is not there. Gives what is wrong, in words for the operator. Of a store that
/// is [damaged](IndexStore::flaws) it gives only that: what else is found in it means little.
///
/// # Errors
/// [`StoreError`](crate::index::store::StoreError) of the store, also if it holds what it cannot read.
pub async fn check(store: &dyn IndexStore, progress: OnProgress<'_>) -> StoreResult<Vec<String>> {
    let mut wrong = store.flaws().await?;
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    let (mut users_seen, mut peers, mut entries, mut bytes) = (0, 0, 0, 0_u64);
    let mut users = Users::of(store);
    while let Some(user) = users.next().await? {
        users_seen += 1;
        let groups = store.groups_of(&user.name).await?;
        let joined: BTreeSet<_> = groups.iter().map(|group| &group.name).collect();
        for group in &groups {
            let members = store.members(&group.name).await?;
            if !members.contains(&user.name) {
                wrong.push(format!("user {} has group {} but is not in it", user.name, group.name));
            }
            if !members.contains(&group.owner) {
                wrong.push(format!("group {} has an owner who is not in it", group.name));
            }
        }
        let online = store.peers_of(&user.name).await?;
        if user.disabled && !store.sessions_of(&user.name).await?.is_empty() {
            wrong.push(format!("user {} is disabled and has sessions", user.name));
        }
        if user.disabled && !store.invites_by(&user.name).await?.is_empty() {
            wrong.push(format!("user {} is disabled and has invites", user.name));
        }
        for peer in online {
            peers += 1;
            if user.disabled && peer.last_seen.is_some() {
                wrong.push(format!("user {} is disabled and peer {} is not", user.name, peer.id));
            }
            let partial = store.partial_sources_of(&peer.id).await?;
            if peer.last_seen.is_none() && !partial.is_empty() {
                wrong.push(format!("peer {} said goodbye and has partial sources", peer.id));
            }
            for group in partial.iter().flat_map(|one| &one.groups) {
                if !joined.contains(group) {
                    wrong.push(format!(
                        "peer {} is a partial source for group {group}, and {} is not in it",
                        peer.id, user.name
                    ));
                }
            }
            let mut own = 0;
            let mut pages = Entries::of(store, peer.id);
            loop {
                let page = pages.next().await?;
                if page.is_empty() {
                    break;
                }
                own += page.len() as u64;
                for (entry, _) in &page {
                    bytes = bytes.saturating_add(entry.size);
                    if let Visibility::Group(group) = &entry.visibility
                        && !joined.contains(group)
                    {
                        let path = &entry.path;
                        wrong.push(format!(
                            "{path} of peer {} is in group {group}, and {} is not",
                            peer.id, user.name
                        ));
                    }
                }
                progress(Progress { users: users_seen, entries: entries + own });
            }
            let counted = store.count_entries(&peer.id).await?;
            if counted != own {
                wrong.push(format!("peer {} has {own} entries and counts {counted}", peer.id));
            }
            entries += own;
        }
        progress(Progress { users: users_seen, entries });
    }
    let counts = store.counts(Timestamp::EPOCH, Timestamp::EPOCH).await?;
    for (what, found, counted) in [
        ("accounts", users_seen, counts.users),
        ("peers of accounts that are there", peers, counts.peers),
        ("entries", entries, counts.entries),
        ("bytes", bytes, counts.bytes),
    ] {
        if found != counted {
            wrong.push(format!("there are {found} {what}, and {counted} are counted"));
        }
    }
    Ok(wrong)
}
