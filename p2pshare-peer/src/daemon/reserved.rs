//! Upload slots for certain users and groups: who that is is asked of the index.

use std::{collections::HashSet, num::NonZeroU16, time::Duration};

use p2pshare_core::{
    api::ProblemKind,
    identity::{GroupName, Username},
    transfer::{ReservedSlots, UploadSlots},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{DaemonEvent, DaemonEvents, presence::TRY_AGAIN};
use crate::{index_client::ClientError, publish::OwnPeer};

/// The index is asked so often who is in a group.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Upload slots that are there besides those for everybody, for some users alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsFor {
    /// Who gets them.
    pub whom: SlotUsers,
    /// How many there are.
    pub slots: NonZeroU16,
}

/// Who gets reserved slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotUsers {
    /// One user.
    User(Username),
    /// All members of a group, which the peer's own user must be in.
    Group(GroupName),
}

/// Reserves slots, and follows who is in the groups until `stop` is cancelled. Members stay as they were last known while
/// the index is away.
pub(super) async fn run(
    peer: &OwnPeer,
    slots: &UploadSlots,
    wanted: &[SlotsFor],
    events: &DaemonEvents,
    stop: &CancellationToken,
) {
    let named = |SlotsFor { whom, slots }: &SlotsFor| {
        let users = match whom {
            SlotUsers::User(user) => HashSet::from([user.clone()]),
            SlotUsers::Group(_) => HashSet::new(),
        };
        ReservedSlots { users, slots: slots.get().into() }
    };
    let mut reserved: Vec<_> = wanted.iter().map(named).collect();
    // Those of another account's groups are gone from now on.
    slots.reserve(reserved.clone());
    let groups = wanted.iter().enumerate().filter_map(|(at, it)| match &it.whom {
        SlotUsers::Group(group) => Some((at, group)),
        SlotUsers::User(_) => None,
    });
    let groups: Vec<_> = groups.collect();
    let following = async {
        let mut told = HashSet::new();
        while !groups.is_empty() {
            let before = reserved.clone();
            let mut is_known = true;
            for (at, group) in &groups {
                let users = match members(peer, group).await {
                    Ok(users) => users,
                    Err(error) => {
                        tracing::debug!(%group, %error, "the members of a group are not known");
                        is_known = false;
                        continue;
                    }
                };
                if users.is_some() {
                    told.remove(at);
                } else if told.insert(*at) {
                    events(DaemonEvent::Trouble(format!(
                        "nobody gets the upload slots for the group {group}: you are in no such group"
                    )));
                }
                if let Some(kind) = reserved.get_mut(*at) {
                    kind.users = users.unwrap_or_default();
                }
            }
            if reserved != before {
                slots.reserve(reserved.clone());
            }
            sleep(if is_known { LOOK_AGAIN } else { TRY_AGAIN }).await;
        }
    };
    stop.run_until_cancelled(following).await;
}

/// The members of a group, `None` if the peer's user is in no such group.
async fn members(
    peer: &OwnPeer,
    group: &GroupName,
) -> Result<Option<HashSet<Username>>, ClientError> {
    match peer.client().group_members(group).await {
        Ok(members) => Ok(Some(members.members.into_iter().collect())),
        Err(error) if error.kind() == Some(ProblemKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
