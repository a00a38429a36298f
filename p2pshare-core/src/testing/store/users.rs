//! Laws of [`UserStore`](crate::index::store::UserStore).

use super::fixture::*;
use crate::{
    api::{CatalogChange, Visibility},
    index::{
        model::{KeptSessions, Peer, StoreCounts, User},
        store::RedeemOutcome,
    },
    time::Timestamp,
};

/// What was added is there as it was given; what was not is not.
pub async fn an_account_is_kept_as_given(store: Store) {
    let plain = account("plain");
    let odd = User {
        operator: true,
        disabled: true,
        created_at: Timestamp::MAX,
        ..account("odd.name_with-all0")
    };
    let early = User { created_at: at(-5), ..account("early") };
    for account in [&plain, &odd, &early] {
        assert!(ok(store.insert_user(account, false).await));
        assert_eq!(ok(store.user(&account.name).await).as_ref(), Some(account));
    }
    assert_eq!(ok(store.user(&user("nobody")).await), None);
}

/// A taken name is refused and the account that has it stays as it is.
pub async fn a_name_is_taken_once(store: Store) {
    add_users(&store, &["alice"]).await;
    let other = User { operator: true, verifier: verifier("other"), ..account("alice") };
    assert!(!ok(store.insert_user(&other, false).await));
    assert!(!ok(store.insert_user(&other, true).await));
    assert_eq!(ok(store.user(&user("alice")).await), Some(account("alice")));
}

/// Of several who take one name at once, one gets it.
pub async fn of_several_who_take_a_name_one_wins(store: Store) {
    let takers = (0..16).map(|number: u8| {
        let store = store.clone();
        let account = User { verifier: verifier(&number.to_string()), ..account("wanted") };
        async move { ok(store.insert_user(&account, false).await).then_some(account) }
    });
    let winners: Vec<_> = at_once(takers).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(ok(store.user(&user("wanted")).await).as_ref(), winners.first());
}

/// `only_if_first` adds to an empty store only.
pub async fn only_the_first_account_is_first(store: Store) {
    assert!(ok(store.insert_user(&account("first"), true).await));
    assert!(!ok(store.insert_user(&account("second"), true).await));
    assert_eq!(ok(store.user(&user("second")).await), None);
    assert!(ok(store.insert_user(&account("second"), false).await));
    assert!(!ok(store.insert_user(&account("third"), true).await));
}

/// Of several first accounts at once, one wins.
pub async fn of_several_first_accounts_one_wins(store: Store) {
    let firsts = (0..16).map(|number| {
        let store = store.clone();
        async move { ok(store.insert_user(&account(&format!("user{number}")), true).await) }
    });
    let wins = at_once(firsts).await.into_iter().filter(|won| *won).count();
    assert_eq!(wins, 1);
    assert_eq!(ok(store.users(None, 100).await).len(), 1);
}

/// A verifier is replaced if there is none expected, or the one expected; else nothing changes.
pub async fn a_verifier_is_replaced_if_as_expected(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    let alice = user("alice");
    let (old, new, newer) = (verifier("alice"), verifier("new"), verifier("newer"));
    assert!(!ok(store.set_verifier(&alice, &new, Some(&newer), KeptSessions::All).await));
    assert_eq!(ok(store.user(&alice).await), Some(account("alice")));
    assert!(ok(store.set_verifier(&alice, &new, Some(&old), KeptSessions::All).await));
    assert!(!ok(store.set_verifier(&alice, &newer, Some(&old), KeptSessions::All).await));
    assert!(ok(store.set_verifier(&alice, &newer, None, KeptSessions::All).await));
    let changed = User { verifier: newer.clone(), ..account("alice") };
    assert_eq!(ok(store.user(&alice).await), Some(changed));
    assert_eq!(ok(store.user(&user("bob")).await), Some(account("bob")));
    assert!(!ok(store.set_verifier(&user("nobody"), &new, None, KeptSessions::All).await));
    assert!(!ok(store.set_verifier(&user("nobody"), &new, Some(&old), KeptSessions::All).await));
}

/// With a verifier all sessions of the account end but the one that is kept, if it is replaced at all.
pub async fn with_a_verifier_sessions_end(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, name) in [(1, "alice"), (2, "alice"), (3, "alice"), (4, "bob")] {
        let opened = store.open_session(&session(number, name, 100), &verifier(name), 9).await;
        assert!(ok(opened));
    }
    let open = async || {
        let mut open = Vec::new();
        for number in 1..=4 {
            if ok(store.session(&token(number), at(100)).await).is_some() {
                open.push(number);
            }
        }
        open
    };
    let (alice, new, newer) = (user("alice"), verifier("new"), verifier("newer"));
    assert!(!ok(store.set_verifier(&alice, &new, Some(&newer), KeptSessions::None).await));
    assert_eq!(open().await, [1, 2, 3, 4]);
    assert!(ok(store.set_verifier(&alice, &new, None, KeptSessions::All).await));
    assert_eq!(open().await, [1, 2, 3, 4]);
    let kept = KeptSessions::One(token(2));
    assert!(ok(store.set_verifier(&alice, &newer, Some(&new), kept).await));
    assert_eq!(open().await, [2, 4]);
    // One of somebody else keeps nothing.
    let kept = KeptSessions::One(token(4));
    assert!(ok(store.set_verifier(&alice, &new, None, kept).await));
    assert_eq!(open().await, [4]);
    assert!(ok(store.set_verifier(&user("bob"), &new, None, KeptSessions::None).await));
    assert!(open().await.is_empty());
}

/// Of several that expect the same verifier at once, one replaces it.
pub async fn of_several_who_expect_a_verifier_one_wins(store: Store) {
    add_users(&store, &["alice"]).await;
    let changes = (0..16).map(|number: u8| {
        let store = store.clone();
        async move {
            let new = verifier(&number.to_string());
            let expected = verifier("alice");
            ok(store.set_verifier(&user("alice"), &new, Some(&expected), KeptSessions::All).await)
        }
    });
    let wins = at_once(changes).await.into_iter().filter(|won| *won).count();
    assert_eq!(wins, 1);
}

/// Disabling ends the account's sessions, takes its peers offline, forgets their partial sources, and leaves entries
/// and other users alone. Enabling gives none of it back.
pub async fn disabling_ends_sessions_and_presence(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    share(&store, "bob", 2, &[entry("b", 2)]).await;
    assert!(holds_part(&store, "alice", 1, 2, 500).await);
    for (number, name) in [(1, "alice"), (2, "alice"), (3, "bob")] {
        let opened = store.open_session(&session(number, name, 100), &verifier(name), 9).await;
        assert!(ok(opened));
    }

    assert!(ok(store.set_disabled(&user("alice"), true).await));
    assert!(ok(store.user(&user("alice")).await).is_some_and(|user| user.disabled));
    for number in [1, 2] {
        assert_eq!(ok(store.session(&token(number), at(100)).await), None);
    }
    assert!(ok(store.session(&token(3), at(100)).await).is_some());
    let offline = Peer { last_seen: None, ..peer(1, "alice") };
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(offline.clone()));
    assert_eq!(ok(store.peer(&peer_id(2)).await), Some(peer(2, "bob")));
    assert_eq!(found(&store, &viewer("bob", &[]), &search("")).await, [1, 2]);

    assert!(ok(store.set_disabled(&user("alice"), false).await));
    assert_eq!(ok(store.user(&user("alice")).await), Some(account("alice")));
    ok(store.touch_peers(&[(peer_id(1), at(200))]).await);
    assert_eq!(ok(store.peer(&peer_id(1)).await), Some(offline));
    assert_eq!(ok(store.end_sessions(&user("alice"), None).await), 0);
    let removed = store.remove_partial_source(&user("alice"), &peer_id(1), &content(2)).await;
    assert!(!ok(removed), "the partial source is forgotten");
    assert!(!ok(store.set_disabled(&user("nobody"), true).await));
}

/// Disabling deletes the invites that the account made, and nobody else's; who is disabled makes none.
pub async fn disabling_deletes_invites(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    add_group(&store, "hers", "alice", &[]).await;
    for invite in
        [invite(1, "alice", None), invite(2, "alice", Some("hers")), invite(3, "bob", Some("hers"))]
    {
        assert!(ok(store.insert_invite(&invite).await));
    }
    assert!(ok(store.set_disabled(&user("alice"), true).await));
    assert_eq!(ok(store.invites_by(&user("alice")).await), []);
    for number in [1, 2] {
        assert_eq!(ok(store.invite(&invite_hash(number)).await), None);
        let redeemed = store.redeem_invite(&invite_hash(number), &account("carol"), at(100)).await;
        assert_eq!(ok(redeemed), RedeemOutcome::NotGood);
    }
    let of_bob = invite(3, "bob", Some("hers"));
    assert_eq!(ok(store.invite(&invite_hash(3)).await), Some(of_bob));
    assert!(!ok(store.insert_invite(&invite(4, "alice", None)).await));
    assert_eq!(ok(store.invite(&invite_hash(4)).await), None);

    assert!(ok(store.set_disabled(&user("alice"), false).await));
    assert_eq!(ok(store.invites_by(&user("alice")).await), []);
    assert!(ok(store.insert_invite(&invite(4, "alice", None)).await));
    assert!(ok(store.set_disabled(&user("alice"), false).await));
    assert_eq!(ok(store.invites_by(&user("alice")).await), [invite(4, "alice", None)]);
}

/// An account becomes an operator and no longer one, and its sessions say so at once.
pub async fn an_operator_is_made_and_unmade(store: Store) {
    add_users(&store, &["alice"]).await;
    let opened = store.open_session(&session(1, "alice", 100), &verifier("alice"), 9).await;
    assert!(ok(opened));
    for operator in [true, false] {
        assert!(ok(store.set_operator(&user("alice"), operator).await));
        let expected = User { operator, ..account("alice") };
        assert_eq!(ok(store.user(&user("alice")).await), Some(expected));
        let open = ok(store.session(&token(1), at(100)).await);
        assert_eq!(open.map(|open| open.operator), Some(operator));
    }
    assert!(!ok(store.set_operator(&user("nobody"), true).await));
}

/// Deleting an account deletes its sessions, peers, entries, partial sources, invites, memberships and its groups with
/// what others shared with them and the invites into them; nothing else.
pub async fn deleting_a_user_deletes_all_that_is_theirs(store: Store) {
    world_of_alice_and_bob(&store).await;
    assert!(ok(store.delete_user(&user("alice")).await));
    assert!(!ok(store.delete_user(&user("alice")).await));

    assert_eq!(ok(store.user(&user("alice")).await), None);
    assert_eq!(ok(store.session(&token(1), at(100)).await), None);
    assert_eq!(ok(store.peer(&peer_id(1)).await), None);
    assert_eq!(ok(store.count_user_entries(&user("alice")).await), 0);
    assert_eq!(entry_paths(&store, 1).await, []);
    assert_eq!(ok(store.group(&group("hers")).await), None);
    assert_eq!(ok(store.members(&group("hers")).await), []);
    assert_eq!(ok(store.members(&group("his")).await), [user("bob")]);
    for number in [1, 2] {
        assert_eq!(ok(store.invite(&invite_hash(number)).await), None);
    }
    assert_eq!(entry_paths(&store, 2).await, paths(&["his", "public"]));
    assert_eq!(ok(store.invite(&invite_hash(3)).await), Some(invite(3, "bob", Some("his"))));
    assert!(ok(store.session(&token(2), at(100)).await).is_some());
    let left = StoreCounts { users: 1, sessions: 1, peers: 1, online: 1, entries: 2, bytes: 20 };
    assert_eq!(ok(store.counts(at(100), at(100)).await), left);
}

/// Whoever takes a deleted account's name has nothing of it.
pub async fn a_deleted_name_is_free_and_clean(store: Store) {
    world_of_alice_and_bob(&store).await;
    assert!(ok(store.delete_user(&user("alice")).await));
    add_users(&store, &["alice"]).await;
    assert_eq!(ok(store.groups_of(&user("alice")).await), []);
    assert_eq!(ok(store.peers_of(&user("alice")).await), []);
    assert_eq!(ok(store.invites_by(&user("alice")).await), []);
    assert_eq!(ok(store.end_sessions(&user("alice"), None).await), 0);
    let all = viewer("alice", &["hers", "his"]);
    let files = store.user_files(&all, &user("alice"), None, None, 100).await;
    assert_eq!(ok(files), []);
    add_peer(&store, 1, "alice").await;
    assert_eq!(ok(store.count_entries(&peer_id(1)).await), 0);
    let removed = store.remove_partial_source(&user("alice"), &peer_id(1), &content(9)).await;
    assert!(!ok(removed));
}

/// Accounts come in order of name, after the one given, no more than asked for.
pub async fn users_are_paged_in_order(store: Store) {
    let names = ["0", "a", "a-", "a-b", "a.b", "a0", "a_", "ab", "b"];
    let mixed = ["b", "a_", "0", "a.b", "a", "ab", "a-", "a0", "a-b"];
    add_users(&store, &mixed).await;
    for limit in [1, 2, 4, 9, 100] {
        let mut seen: Vec<User> = Vec::new();
        loop {
            let after = seen.last().map(|user| user.name.clone());
            let page = ok(store.users(after.as_ref(), limit).await);
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, names.map(account), "limit {limit}");
    }
    let after_a_missing_one = ok(store.users(Some(&user("a1")), 1).await);
    assert_eq!(after_a_missing_one, [account("a_")]);
}

async fn world_of_alice_and_bob(store: &Store) {
    add_users_with_peers(store, &["alice", "bob"]).await;
    add_group(store, "hers", "alice", &["bob"]).await;
    add_group(store, "his", "bob", &["alice"]).await;
    for (number, name) in [(1, "alice"), (2, "bob")] {
        let opened = store.open_session(&session(number, name, 100), &verifier(name), 9).await;
        assert!(ok(opened));
        let entries = [
            entry_for("hers", 1, &shared_with("hers")),
            entry_for("his", 2, &shared_with("his")),
            entry_for("public", 3, &Visibility::Public),
        ];
        let changes = entries.map(CatalogChange::Publish);
        publish(store, name, number, &changes, 100).await;
    }
    assert!(holds_part(store, "alice", 1, 9, 500).await);
    for invite in
        [invite(1, "alice", None), invite(2, "bob", Some("hers")), invite(3, "bob", Some("his"))]
    {
        // Who makes an invite into whose group is a rule of the index, not of a store.
        assert!(ok(store.insert_invite(&invite).await));
    }
}
