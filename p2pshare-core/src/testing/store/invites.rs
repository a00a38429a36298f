//! Laws of [`InviteStore`](crate::index::store::InviteStore).

use super::fixture::*;
use crate::index::{
    model::{InviteRecord, User},
    store::RedeemOutcome::{self, NameTaken, NotGood, Registered},
};

async fn redeem(store: &Store, number: u8, name: &str, seconds: i64) -> RedeemOutcome {
    let redeemed = store.redeem_invite(&invite_hash(number), &account(name), at(seconds)).await;
    ok(redeemed)
}

async fn uses_left(store: &Store, number: u8) -> u32 {
    ok(store.invite(&invite_hash(number)).await).expect("the invite is there").uses_left
}

async fn alice_with_a_club(store: &Store) {
    add_users(store, &["alice", "bob"]).await;
    add_group(store, "club", "alice", &[]).await;
}

/// An invite is kept as given, into a group or not.
pub async fn an_invite_is_kept_as_given(store: Store) {
    alice_with_a_club(&store).await;
    let used_up = InviteRecord { uses_left: 0, expires_at: at(-1), ..invite(3, "bob", None) };
    let many = InviteRecord { uses_left: u32::MAX, ..invite(2, "alice", Some("club")) };
    for invite in [invite(1, "alice", None), many, used_up] {
        assert!(ok(store.insert_invite(&invite).await));
        assert_eq!(ok(store.invite(&invite.hash).await), Some(invite));
    }
    assert_eq!(ok(store.invite(&invite_hash(9)).await), None);
}

/// A code is there once; its maker and its group must be there.
pub async fn an_invite_needs_its_maker_and_group(store: Store) {
    alice_with_a_club(&store).await;
    assert!(ok(store.insert_invite(&invite(1, "alice", None)).await));
    for refused in [
        invite(1, "bob", Some("club")),
        invite(2, "nobody", None),
        invite(2, "alice", Some("missing")),
    ] {
        assert!(!ok(store.insert_invite(&refused).await), "{refused:?}");
    }
    assert_eq!(ok(store.invite(&invite_hash(1)).await), Some(invite(1, "alice", None)));
    assert_eq!(ok(store.invite(&invite_hash(2)).await), None);
}

/// No invite slips past the disabling of its maker.
pub async fn no_invite_slips_past_the_disabling_of_its_maker(store: Store) {
    alice_with_a_club(&store).await;
    for round in 0..20 {
        let tasks = (0..8_u8).map(|number| {
            let store = store.clone();
            async move {
                if number == 4 {
                    assert!(ok(store.set_disabled(&user("alice"), true).await));
                    return;
                }
                ok(store.insert_invite(&invite(number, "alice", Some("club"))).await);
            }
        });
        at_once(tasks).await;
        assert_eq!(ok(store.invites_by(&user("alice")).await), [], "round {round}");
        assert!(ok(store.set_disabled(&user("alice"), false).await));
    }
}

/// Redeeming adds the account as given, has it join the group, and takes one use.
pub async fn redeeming_registers_and_joins(store: Store) {
    alice_with_a_club(&store).await;
    assert!(ok(store.insert_invite(&invite(1, "alice", Some("club"))).await));
    assert!(ok(store.insert_invite(&invite(2, "alice", None)).await));
    let carol = User { operator: true, created_at: at(77), ..account("carol") };
    assert_eq!(ok(store.redeem_invite(&invite_hash(1), &carol, at(100)).await), Registered);
    assert_eq!(ok(store.user(&carol.name).await), Some(carol.clone()));
    assert_eq!(ok(store.members(&group("club")).await), [user("alice"), carol.name]);
    assert_eq!(uses_left(&store, 1).await, 2);
    assert_eq!(redeem(&store, 2, "dave", 100).await, Registered);
    assert_eq!(ok(store.groups_of(&user("dave")).await), []);
    assert_eq!((uses_left(&store, 1).await, uses_left(&store, 2).await), (2, 2));
}

/// An invite is good before its end and while uses are left.
pub async fn an_invite_ends(store: Store) {
    alice_with_a_club(&store).await;
    let twice = InviteRecord { uses_left: 2, ..invite(1, "alice", Some("club")) };
    assert!(ok(store.insert_invite(&twice).await));
    for seconds in [1000, 1001] {
        assert_eq!(redeem(&store, 1, "late", seconds).await, NotGood);
    }
    assert_eq!(redeem(&store, 9, "late", 100).await, NotGood, "no such code");
    assert_eq!(redeem(&store, 1, "carol", 999).await, Registered);
    assert_eq!(redeem(&store, 1, "dave", 100).await, Registered);
    assert_eq!(redeem(&store, 1, "late", 100).await, NotGood, "no uses left");
    assert_eq!(uses_left(&store, 1).await, 0);
    assert_eq!(ok(store.user(&user("late")).await), None);
    assert_eq!(ok(store.members(&group("club")).await).len(), 3);
}

/// A taken name takes no use, and changes neither the account nor its groups; a bad invite is told first.
pub async fn a_taken_name_takes_no_use(store: Store) {
    alice_with_a_club(&store).await;
    assert!(ok(store.insert_invite(&invite(1, "alice", Some("club"))).await));
    let other_bob = User { verifier: verifier("other"), ..account("bob") };
    let redeemed = store.redeem_invite(&invite_hash(1), &other_bob, at(100)).await;
    assert_eq!(ok(redeemed), NameTaken);
    assert_eq!(ok(store.invite(&invite_hash(1)).await), Some(invite(1, "alice", Some("club"))));
    assert_eq!(ok(store.user(&user("bob")).await), Some(account("bob")));
    assert_eq!(ok(store.groups_of(&user("bob")).await), []);
    assert_eq!(redeem(&store, 1, "bob", 1000).await, NotGood);
    assert_eq!(redeem(&store, 9, "bob", 100).await, NotGood);
}

/// Of many who redeem at once no more succeed than there are uses.
pub async fn no_invite_is_used_too_often(store: Store) {
    alice_with_a_club(&store).await;
    assert!(ok(store.insert_invite(&invite(1, "alice", Some("club"))).await));
    let guests = (0..16).map(|number| {
        let store = store.clone();
        async move { redeem(&store, 1, &format!("guest{number}"), 100).await }
    });
    let outcomes = at_once(guests).await;
    let registered = outcomes.iter().filter(|outcome| **outcome == Registered).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == NotGood).count();
    assert_eq!((registered, refused), (3, 13));
    assert_eq!(uses_left(&store, 1).await, 0);
    assert_eq!(ok(store.users(None, 100).await).len(), 5);
    assert_eq!(ok(store.members(&group("club")).await).len(), 4);
}

/// Of many who redeem for one name at once one gets it, and one use is taken.
pub async fn of_many_who_redeem_for_a_name_one_wins(store: Store) {
    alice_with_a_club(&store).await;
    assert!(ok(store.insert_invite(&invite(1, "alice", None)).await));
    let guests = (0..16).map(|_| {
        let store = store.clone();
        async move { redeem(&store, 1, "wanted", 100).await }
    });
    let outcomes = at_once(guests).await;
    let registered = outcomes.iter().filter(|outcome| **outcome == Registered).count();
    let taken = outcomes.iter().filter(|outcome| **outcome == NameTaken).count();
    assert_eq!((registered, taken), (1, 15));
    assert_eq!(uses_left(&store, 1).await, 2);
}

/// A user's invites come newest first, then in order of hash, good or not.
pub async fn invites_of_a_user_are_newest_first(store: Store) {
    alice_with_a_club(&store).await;
    for (number, by, created) in
        [(5, "alice", 10), (3, "alice", 30), (9, "alice", 20), (4, "alice", 20), (1, "bob", 99)]
    {
        let invite = InviteRecord {
            created_at: at(created),
            expires_at: at(created),
            ..invite(number, by, None)
        };
        assert!(ok(store.insert_invite(&invite).await));
    }
    let own = ok(store.invites_by(&user("alice")).await);
    let numbers: Vec<_> = own.iter().map(|invite| invite.hash.0[0]).collect();
    assert_eq!(numbers, [3, 4, 9, 5]);
    assert_eq!(ok(store.invites_by(&user("nobody")).await), []);
}

/// A deleted invite is gone.
pub async fn a_deleted_invite_is_gone(store: Store) {
    alice_with_a_club(&store).await;
    for number in [1, 2] {
        assert!(ok(store.insert_invite(&invite(number, "alice", None)).await));
    }
    assert!(ok(store.delete_invite(&invite_hash(1)).await));
    assert!(!ok(store.delete_invite(&invite_hash(1)).await));
    assert_eq!(ok(store.invites_by(&user("alice")).await), [invite(2, "alice", None)]);
    assert_eq!(redeem(&store, 1, "carol", 100).await, NotGood);
}

/// Purging forgets what ended at the time given or before, and nothing else.
pub async fn ended_invites_are_purged(store: Store) {
    alice_with_a_club(&store).await;
    for number in 1..=4 {
        let invite = InviteRecord {
            expires_at: at(200 + i64::from(number)),
            uses_left: u32::from(number % 2),
            ..invite(number, "alice", None)
        };
        assert!(ok(store.insert_invite(&invite).await));
    }
    assert_eq!(ok(store.purge_invites(at(200)).await), 0);
    assert_eq!(ok(store.purge_invites(at(202)).await), 2);
    assert_eq!(ok(store.purge_invites(at(202)).await), 0);
    let own = ok(store.invites_by(&user("alice")).await);
    let numbers: Vec<_> = own.iter().map(|invite| invite.hash.0[0]).collect();
    assert_eq!(numbers, [3, 4], "used up is not ended");
}

/// Of all users, those that are good at the time given come in pages, those first that end last, then in order of hash.
pub async fn good_invites_are_paged_by_their_end(store: Store) {
    alice_with_a_club(&store).await;
    for (number, by, ends, uses_left) in [
        (1, "alice", 300, 1),
        (2, "bob", 500, 9),
        (3, "alice", 400, 1),
        (4, "bob", 400, 1),
        (5, "alice", 200, 1),
        (6, "bob", 600, 0),
        (7, "alice", 201, 1),
    ] {
        let invite =
            InviteRecord { expires_at: at(ends), uses_left, ..invite(number, by, Some("club")) };
        assert!(ok(store.insert_invite(&invite).await));
    }
    for limit in [1, 2, 5, 100] {
        let mut seen: Vec<InviteRecord> = Vec::new();
        loop {
            let after = seen.last().map(|last| (last.expires_at, last.hash));
            let page = ok(store.good_invites(at(200), after, limit).await);
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let numbers: Vec<_> = seen.iter().map(|invite| invite.hash.0[0]).collect();
        assert_eq!(numbers, [2, 3, 4, 1, 7], "limit {limit}");
    }
    let used_up = ok(store.good_invites(at(200), Some((at(500), invite_hash(1))), 1).await);
    assert_eq!(used_up[0].hash, invite_hash(2), "after one that is not there");
    assert_eq!(ok(store.good_invites(at(200), None, 0).await), []);
    assert_eq!(ok(store.good_invites(at(600), None, 9).await), []);
}
