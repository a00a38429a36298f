//! Accounts as operators see them.

use std::ops::Bound;

use super::{State, at_most};
use crate::{
    api::UserOverview,
    identity::Username,
    index::model::{OverviewRequest, Peer, User},
};

impl State {
    pub(super) fn overviews(&self, request: &OverviewRequest) -> Vec<UserOverview> {
        let from = request.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.users.range::<Username, _>((from, Bound::Unbounded));
        let users = users.filter(|(name, _)| name.as_str().starts_with(&request.prefix));
        let users = users.take(at_most(request.limit));
        users.map(|(_, user)| self.overview(user, request)).collect()
    }

    fn overview(&self, user: &User, request: &OverviewRequest) -> UserOverview {
        let sessions = self.sessions.values();
        let open =
            sessions.filter(|one| one.user == user.name && one.expires_at > request.now).count();
        let own = self.peers.values().filter(|peer| peer.owner == user.name);
        let peers: Vec<&Peer> = own.collect();
        let online = peers.iter().filter(|peer| peer.online_since(request.online_since)).count();
        let entries = || peers.iter().flat_map(|peer| self.entries.of_peer(&peer.id));
        UserOverview {
            username: user.name.clone(),
            operator: user.operator,
            disabled: user.disabled,
            created_at: user.created_at,
            sessions: open as u64,
            peers: peers.len() as u64,
            online: online as u64,
            files: entries().count() as u64,
            bytes: entries().map(|shared| shared.entry.size).fold(0, u64::saturating_add),
            last_seen: peers.iter().filter_map(|peer| peer.last_seen).max(),
        }
    }
}
