//! Laws of [`PeerStore`](crate::index::store::PeerStore).

use super::fixture::*;
use crate::{
    index::model::{AnnounceOutcome, Peer},
    time::Timestamp,
};

/// A peer that announced itself at a time, in seconds, and was seen then.
fn announced(number: u8, owner: &str, seconds: i64) -> Peer {
    Peer { announced_at: at(seconds), last_seen: Some(at(seconds)), ..peer(number, owner) }
}

async fn last_seen(store: &Store, number: u8) -> Option<Timestamp> {
    ok(store.peer(&peer_id(number)).await).expect("the peer is known").last_seen
}

/// An announced peer is there as it was given: addresses in their order, or none.
pub async fn a_peer_is_kept_as_announced(store: Store) {
    add_users(&store, &["alice"]).await;
    let dns = "tcp://peer.example.org:65535".parse().expect("a valid address");
    let v6 = "tcp://[2001:db8::1]:1".parse().expect("a valid address");
    let many = Peer { addresses: vec![address(9), dns, v6, address(1)], ..peer(1, "alice") };
    let none =
        Peer { addresses: Vec::new(), announced_at: at(-7), last_seen: None, ..peer(2, "alice") };
    for peer in [&many, &none] {
        let outcome = ok(store.announce(peer).await);
        assert_eq!(outcome, AnnounceOutcome::Stored { entries: 0 });
        assert_eq!(ok(store.peer(&peer.id).await).as_ref(), Some(peer));
    }
    assert_eq!(ok(store.peer(&peer_id(3)).await), None);
}

/// A later announce replaces the one before and leaves the entries, which it counts.
pub async fn a_later_announce_replaces(store: Store) {
    add_users(&store, &["alice"]).await;
    add_peer(&store, 1, "alice").await;
    share(&store, "alice", 1, &[entry("a", 1), entry("b", 2)]).await;
    let later = Peer {
        addresses: vec![address(77)],
        announced_at: at(101),
        last_seen: Some(at(50)),
        ..peer(1, "alice")
    };
    let outcome = ok(store.announce(&later).await);
    assert_eq!(outcome, AnnounceOutcome::Stored { entries: 2 });
    assert_eq!(ok(store.peer(&later.id).await), Some(later));
    assert_eq!(entry_paths(&store, 1).await, paths(&["a", "b"]));
}

/// An announce that is not later than the one stored changes nothing.
pub async fn an_old_announce_is_stale(store: Store) {
    add_users(&store, &["alice"]).await;
    add_peer(&store, 1, "alice").await;
    for seconds in [99, 100] {
        let old = Peer {
            addresses: vec![address(77)],
            last_seen: Some(at(500)),
            ..announced(1, "alice", seconds)
        };
        assert_eq!(ok(store.announce(&old).await), AnnounceOutcome::Stale);
    }
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(peer(1, "alice")));
    assert!(ok(store.peer_leaves(&peer_id(1)).await));
    let again = ok(store.announce(&peer(1, "alice")).await);
    assert_eq!(again, AnnounceOutcome::Stale, "a goodbye does not open the way for a replay");
}

/// A peer stays its owner's, however new the announce of another.
pub async fn a_peer_has_one_owner(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    add_peer(&store, 1, "alice").await;
    for seconds in [50, 500] {
        let outcome = ok(store.announce(&announced(1, "bob", seconds)).await);
        assert_eq!(outcome, AnnounceOutcome::OwnedByAnother);
    }
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(peer(1, "alice")));
    assert_eq!(ok(store.peers_of(&user("bob")).await), []);
}

/// Nobody's peer, or a disabled user's, is not stored; that is told before anything else.
pub async fn a_peer_needs_an_owner(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    add_peer(&store, 1, "alice").await;
    assert!(ok(store.set_disabled(&user("bob"), true).await));
    for (number, owner) in [(1, "nobody"), (2, "nobody"), (1, "bob"), (2, "bob")] {
        let outcome = ok(store.announce(&announced(number, owner, 500)).await);
        assert_eq!(outcome, AnnounceOutcome::NoOwner, "peer {number} of {owner}");
    }
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(peer(1, "alice")));
    assert_eq!(ok(store.peer(&peer_id(2)).await), None);
}

/// No announce slips past the deletion of its owner.
pub async fn no_peer_outlives_its_owner(store: Store) {
    for round in 0..20 {
        add_users(&store, &["alice"]).await;
        let announces = (1..9).map(|number| {
            let store = store.clone();
            async move {
                if number == 4 {
                    ok(store.delete_user(&user("alice")).await);
                } else {
                    ok(store.announce(&peer(number, "alice")).await);
                }
            }
        });
        at_once(announces).await;
        for number in 1..9 {
            assert_eq!(ok(store.peer(&peer_id(number)).await), None, "round {round}");
        }
    }
}

/// Of many announces at once the newest remains.
pub async fn of_many_announces_the_newest_remains(store: Store) {
    add_users(&store, &["alice"]).await;
    let announces = (0..16).map(|number| {
        let store = store.clone();
        // Neither in order nor in its reverse.
        let seconds = 100 + (number * 7) % 16;
        async move { ok(store.announce(&announced(1, "alice", seconds)).await) }
    });
    at_once(announces).await;
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(announced(1, "alice", 115)));
}

/// A user's peers come in order of id, and nobody else's with them.
pub async fn peers_of_a_user_are_in_order(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, owner) in [(200, "alice"), (3, "alice"), (4, "bob"), (90, "alice")] {
        add_peer(&store, number, owner).await;
    }
    let expected = [3, 90, 200].map(|number| peer(number, "alice"));
    assert_eq!(ok(store.peers_of(&user("alice")).await), expected);
    assert_eq!(ok(store.peers_of(&user("nobody")).await), []);
}

/// A heartbeat moves the time on, never back, whatever the order in the batch.
pub async fn a_heartbeat_moves_time_forward(store: Store) {
    add_users(&store, &["alice"]).await;
    for number in [1, 2, 3] {
        add_peer(&store, number, "alice").await;
    }
    let seen = [
        (peer_id(1), at(150)),
        (peer_id(2), at(50)),
        (peer_id(8), at(150)),
        (peer_id(3), at(130)),
        (peer_id(3), at(140)),
        (peer_id(3), at(120)),
    ];
    ok(store.touch_peers(&seen).await);
    assert_eq!(last_seen(&store, 1).await, Some(at(150)));
    assert_eq!(last_seen(&store, 2).await, Some(at(100)), "older than what is stored");
    assert_eq!(last_seen(&store, 3).await, Some(at(140)));
    assert_eq!(ok(store.peer(&peer_id(8)).await), None, "an unknown peer stays unknown");
    let touched = Peer { last_seen: Some(at(150)), ..peer(1, "alice") };
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(touched), "nothing else changes");
    ok(store.touch_peers(&[]).await);
}

/// A peer that said goodbye is offline, heartbeats or not, until it announces itself again.
pub async fn a_goodbye_holds_until_the_next_announce(store: Store) {
    add_users(&store, &["alice"]).await;
    add_peer(&store, 1, "alice").await;
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    assert!(ok(store.peer_leaves(&peer_id(1)).await));
    assert!(ok(store.peer_leaves(&peer_id(1)).await), "the peer is still known");
    let gone = Peer { last_seen: None, ..peer(1, "alice") };
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(gone));
    ok(store.touch_peers(&[(peer_id(1), at(200))]).await);
    assert_eq!(last_seen(&store, 1).await, None);
    assert_eq!(entry_paths(&store, 1).await, paths(&["a"]), "the entries stay");
    add_this_peer(&store, &announced(1, "alice", 201)).await;
    assert_eq!(last_seen(&store, 1).await, Some(at(201)));
    assert!(!ok(store.peer_leaves(&peer_id(9)).await));
}

/// A goodbye forgets what the peer held part of, and none can be noted until the next announce.
pub async fn a_goodbye_forgets_partial_sources(store: Store) {
    add_users(&store, &["alice"]).await;
    add_peer(&store, 1, "alice").await;
    let (alice, id) = (user("alice"), peer_id(1));
    assert!(holds_part(&store, "alice", 1, 1, 900).await);
    assert!(ok(store.peer_leaves(&id).await));
    assert!(!holds_part(&store, "alice", 1, 2, 900).await);
    add_this_peer(&store, &announced(1, "alice", 200)).await;
    assert!(!ok(store.remove_partial_source(&alice, &id, &content(1)).await));
    assert!(!ok(store.remove_partial_source(&alice, &id, &content(2)).await));
    assert!(holds_part(&store, "alice", 1, 2, 900).await);
}

/// A deleted peer is gone with its entries and partial sources, and its id is free for anybody.
pub async fn a_deleted_peer_leaves_nothing(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    share(&store, "alice", 1, &[entry("a", 1), entry("b", 2)]).await;
    share(&store, "bob", 2, &[entry("a", 1)]).await;
    let (alice, bob, id) = (user("alice"), user("bob"), peer_id(1));
    assert!(holds_part(&store, "alice", 1, 1, 900).await);
    assert!(ok(store.delete_peer(&id).await));
    assert!(!ok(store.delete_peer(&id).await));

    assert_eq!(ok(store.peer(&id).await), None);
    assert_eq!(ok(store.count_entries(&id).await), 0);
    assert_eq!(ok(store.count_user_entries(&alice).await), 0);
    assert_eq!(entry_paths(&store, 1).await, []);
    assert_eq!(found(&store, &viewer("bob", &[]), &search("")).await, [1]);
    add_this_peer(&store, &peer(1, "bob")).await;
    assert_eq!(ok(store.count_entries(&id).await), 0);
    assert!(!ok(store.remove_partial_source(&bob, &id, &content(1)).await));
}

/// Purging forgets peers that were silent since before the time given, the longest silent first, no more than asked.
pub async fn silent_peers_are_purged(store: Store) {
    add_users(&store, &["alice"]).await;
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 50), (6, 49)] {
        add_this_peer(&store, &announced(number, "alice", seconds)).await;
        share(&store, "alice", number, &[entry("a", number)]).await;
    }
    ok(store.touch_peers(&[(peer_id(1), at(60))]).await);
    // Its goodbye takes nothing back of when it was last there.
    ok(store.touch_peers(&[(peer_id(4), at(40))]).await);
    assert!(ok(store.peer_leaves(&peer_id(4)).await) && ok(store.peer_leaves(&peer_id(6)).await));
    assert!(ok(store.set_disabled(&user("alice"), true).await));
    ok(store.touch_peers(&[(peer_id(4), at(70))]).await);
    let known = || async {
        let peers = ok(store.peers_of(&user("alice")).await);
        peers.iter().map(|peer| peer.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(ok(store.purge_peers(at(10), 9).await), 0);
    assert_eq!(ok(store.purge_peers(at(50), 0).await), 0);
    assert_eq!(ok(store.purge_peers(at(50), 2).await), 2);
    assert_eq!(known().await, [1, 4, 5, 6]);
    assert_eq!(ok(store.purge_peers(at(40), 9).await), 0);
    assert_eq!(ok(store.purge_peers(at(50), 9).await), 2);
    assert_eq!(known().await, [1, 5]);
    assert_eq!(ok(store.count_user_entries(&user("alice")).await), 2);
    assert_eq!(found(&store, &viewer("bob", &[]), &search("")).await, [1, 5]);
}

/// Purging forgets partial sources that ended before the time given, and no others.
pub async fn ended_partial_sources_are_purged(store: Store) {
    add_users(&store, &["alice"]).await;
    add_peer(&store, 1, "alice").await;
    let (alice, id) = (user("alice"), peer_id(1));
    for (number, until) in [(1, 49), (2, 50), (3, 51)] {
        assert!(holds_part(&store, "alice", 1, number, until).await);
    }
    assert_eq!(ok(store.purge_peers(at(50), 0).await), 0);
    for (number, is_there) in [(1, false), (2, true), (3, true)] {
        let removed = ok(store.remove_partial_source(&alice, &id, &content(number)).await);
        assert_eq!(removed, is_there, "content {number}");
    }
}
