//! Settings of the rules.

use std::{ops::RangeInclusive, time::Duration};

use crate::api::Registration;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Settings of the rules, with defaults that suit a community of some thousands.
///
/// [`Index::new`](super::Index::new) takes a time that is out of its range for the nearest one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// The community's name for its index.
    pub name: String,
    /// Who may make an account.
    pub registration: Registration,
    /// How long a session lasts after it was used, to a thirtieth of this: a minute to ten years
    /// ([`SESSION_LIFETIMES`](Self::SESSION_LIFETIMES)).
    pub session_lifetime: Duration,
    /// How long a session that was looked up is taken to be as it was. Where other processes work on the same store,
    /// what they do to a session is seen so much later. Zero: each request looks its session up.
    pub session_cache: Duration,
    /// Most sessions of a user; opening one more ends that which was not used for the longest time.
    pub sessions_per_user: u32,
    /// How long a grant lasts: ten seconds to a day ([`GRANT_LIFETIMES`](Self::GRANT_LIFETIMES)). Who may not
    /// fetch any more can go on for so long with those that they have.
    pub grant_lifetime: Duration,
    /// Whether grants that are bound to no peer's key are given out, for clients that have none (a stock gRPC client).
    pub unbound_grants: bool,
    /// Most catalog entries of a user, over all their peers.
    pub entries_per_user: u64,
    /// Most peers of a user.
    pub peers_per_user: u32,
    /// Most groups that a user owns or is a member of. Others can take somebody into theirs who is in fewer than half as
    /// many, so that from two on nobody can be kept from making their own.
    pub groups_per_user: u32,
    /// Most members of a group.
    pub members_per_group: u32,
    /// Most invites of a user that are good at one time.
    pub invites_per_user: u32,
    /// From one heartbeat to the next: a second to a minute ([`HEARTBEATS`](Self::HEARTBEATS)), since a peer that is not
    /// heard of for a minute and a half is offline.
    pub heartbeat_every: Duration,
    /// How far the time in an announce may be from the index's clock.
    pub announce_skew: Duration,
    /// How long a partial source counts before it must say so again.
    pub partial_lifetime: Duration,
    /// A peer that is not heard of for so long is forgotten with all its entries.
    pub forget_peers_after: Duration,
}

impl IndexConfig {
    /// How long a session can last.
    pub const SESSION_LIFETIMES: RangeInclusive<Duration> =
        Duration::from_secs(60)..=Duration::from_secs(3650 * DAY);

    /// How long a grant can last.
    pub const GRANT_LIFETIMES: RangeInclusive<Duration> =
        Duration::from_secs(10)..=Duration::from_secs(DAY);

    /// How long it can be from one heartbeat to the next.
    pub const HEARTBEATS: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(60);

    /// The same, with every time in its range.
    pub(super) fn in_range(mut self) -> Self {
        let clamp = |time: &mut Duration, range: RangeInclusive<Duration>| {
            *time = (*time).clamp(*range.start(), *range.end());
        };
        clamp(&mut self.session_lifetime, Self::SESSION_LIFETIMES);
        clamp(&mut self.grant_lifetime, Self::GRANT_LIFETIMES);
        clamp(&mut self.heartbeat_every, Self::HEARTBEATS);
        self
    }
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            name: "p2pshare".to_owned(),
            registration: Registration::Open,
            session_lifetime: Duration::from_secs(30 * DAY),
            session_cache: Duration::ZERO,
            sessions_per_user: 256,
            grant_lifetime: Duration::from_secs(10 * 60),
            unbound_grants: true,
            entries_per_user: 2_000_000,
            peers_per_user: 64,
            groups_per_user: 256,
            members_per_group: 10_000,
            invites_per_user: 100,
            heartbeat_every: Duration::from_secs(30),
            announce_skew: Duration::from_secs(5 * 60),
            partial_lifetime: Duration::from_secs(10 * 60),
            forget_peers_after: Duration::from_secs(30 * DAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::model::ONLINE_FOR;

    #[test]
    fn times_come_into_their_range() {
        let default = IndexConfig::default();
        assert_eq!(default.clone().in_range(), default);
        let with = |time| IndexConfig {
            session_lifetime: time,
            grant_lifetime: time,
            heartbeat_every: time,
            ..IndexConfig::default()
        };
        let times = |config: IndexConfig| {
            [config.session_lifetime, config.grant_lifetime, config.heartbeat_every]
                .map(|time| time.as_secs())
        };
        assert_eq!(times(with(Duration::ZERO).in_range()), [60, 10, 1]);
        assert_eq!(times(with(Duration::MAX).in_range()), [3650 * DAY, DAY, 60]);
        assert!(*IndexConfig::HEARTBEATS.end() < ONLINE_FOR);
    }
}
