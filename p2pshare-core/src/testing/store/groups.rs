//! Laws of [`GroupStore`](crate::index::store::GroupStore).

use super::fixture::*;
use crate::{
    api::Visibility,
    index::{model::GroupRecord, store::RedeemOutcome},
    time::Timestamp,
};

fn record(name: &str, owner: &str) -> GroupRecord {
    GroupRecord { name: group(name), owner: user(owner), created_at: at(1) }
}

async fn members(store: &Store, name: &str) -> Vec<String> {
    let members = ok(store.members(&group(name)).await);
    members.iter().map(ToString::to_string).collect()
}

/// Alice, bob and carol with a peer each (1, 2, 3), all in the club, which is alice's; each shares a file with the
/// club, one with alice's other group, and a public one.
async fn a_club(store: &Store) {
    add_users_with_peers(store, &["alice", "bob", "carol"]).await;
    for name in ["club", "other"] {
        add_group(store, name, "alice", &["bob", "carol"]).await;
    }
    for (number, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        let entries = [
            entry_for("club", 1, &shared_with("club")),
            entry_for("other", 2, &shared_with("other")),
            entry_for("public", 3, &Visibility::Public),
        ];
        share(store, name, number, &entries).await;
    }
}

/// A group is kept as given, with its owner as its member.
pub async fn a_group_is_kept_as_given(store: Store) {
    add_users(&store, &["alice"]).await;
    let record = GroupRecord { created_at: Timestamp::MAX, ..record("film.club_1-x", "alice") };
    assert!(ok(store.insert_group(&record).await));
    assert_eq!(ok(store.group(&record.name).await), Some(record.clone()));
    assert_eq!(members(&store, "film.club_1-x").await, ["alice"]);
    assert_eq!(ok(store.groups_of(&user("alice")).await), [record]);
    assert_eq!(ok(store.group(&group("missing")).await), None);
    assert_eq!(members(&store, "missing").await, [""; 0]);
}

/// A name is taken once, and nobody owns nothing.
pub async fn a_group_needs_a_free_name_and_an_owner(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    add_group(&store, "club", "alice", &[]).await;
    assert!(!ok(store.insert_group(&record("club", "bob")).await));
    assert!(!ok(store.insert_group(&record("new", "nobody")).await));
    assert_eq!(ok(store.group(&group("club")).await), Some(record("club", "alice")));
    assert_eq!(ok(store.group(&group("new")).await), None);
    assert_eq!(ok(store.groups_of(&user("bob")).await), []);
}

/// Of several who take a name at once one gets it.
pub async fn of_several_groups_of_a_name_one_wins(store: Store) {
    add_users(&store, &["alice"]).await;
    let takers = (0..16).map(|number| {
        let store = store.clone();
        let record = GroupRecord { created_at: at(number), ..record("club", "alice") };
        async move { ok(store.insert_group(&record).await).then_some(record) }
    });
    let winners: Vec<_> = at_once(takers).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(ok(store.groups_of(&user("alice")).await), winners);
}

/// A user's groups and a group's members come in order of name.
pub async fn groups_and_members_are_in_order(store: Store) {
    add_users(&store, &["b", "a", "a-b", "a.b"]).await;
    for name in ["z", "a_", "a-", "a"] {
        add_group(&store, name, "b", &["a.b", "a", "a-b"]).await;
    }
    add_group(&store, "m", "a", &[]).await;
    assert_eq!(members(&store, "z").await, ["a", "a-b", "a.b", "b"]);
    let expected = ["a", "a-", "a_", "z"].map(|name| record(name, "b"));
    assert_eq!(ok(store.groups_of(&user("b")).await), expected);
    assert_eq!(ok(store.groups_of(&user("a-b")).await), expected);
    assert_eq!(ok(store.groups_of(&user("nobody")).await), []);
}

/// A member joins once; only a user joins, and only a group.
pub async fn a_member_joins_once(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    add_group(&store, "club", "alice", &[]).await;
    assert!(ok(store.add_member(&group("club"), &user("bob")).await));
    assert!(!ok(store.add_member(&group("club"), &user("bob")).await));
    assert!(!ok(store.add_member(&group("club"), &user("alice")).await));
    assert!(!ok(store.add_member(&group("club"), &user("nobody")).await));
    assert!(!ok(store.add_member(&group("missing"), &user("bob")).await));
    assert_eq!(members(&store, "club").await, ["alice", "bob"]);
}

/// The end of a membership withdraws what the member shared with the group, on all their peers, and nothing else.
pub async fn leaving_withdraws_what_was_shared(store: Store) {
    a_club(&store).await;
    add_peer(&store, 4, "bob").await;
    let second = entry_for("more/club", 1, &shared_with("club"));
    share(&store, "bob", 4, &[second, entry("more/public", 3)]).await;

    assert!(ok(store.remove_member(&group("club"), &user("bob")).await));
    assert_eq!(members(&store, "club").await, ["alice", "carol"]);
    assert_eq!(entry_paths(&store, 2).await, paths(&["other", "public"]));
    assert_eq!(entry_paths(&store, 4).await, paths(&["more/public"]));
    for number in [1, 3] {
        assert_eq!(entry_paths(&store, number).await, paths(&["club", "other", "public"]));
    }
    let found = hits(&store, &viewer("carol", &["club", "other"]), &search("club")).await;
    assert_eq!(found[0].sources, 2);
    assert_eq!(ok(store.groups_of(&user("bob")).await), [record("other", "alice")]);
    assert!(ok(store.add_member(&group("club"), &user("bob")).await));
    assert_eq!(ok(store.count_user_entries(&user("bob")).await), 3, "joining brings nothing back");
}

/// Before a membership ends what was shared can be withdrawn in parts, if the store does that at all; nothing else is.
pub async fn what_was_shared_is_withdrawn_in_parts(store: Store) {
    a_club(&store).await;
    let more: Vec<_> =
        (0..4).map(|n| entry_for(&format!("more/{n}"), 1, &shared_with("club"))).collect();
    share(&store, "bob", 2, &more).await;
    let before = entry_paths(&store, 2).await;
    let withdraw = async |name: &str, who: &str, limit| {
        ok(store.withdraw_shared(&group(name), &[user(who)], limit).await)
    };
    assert_eq!(withdraw("club", "bob", 0).await, 0);
    assert_eq!(withdraw("missing", "bob", 9).await, 0);
    assert_eq!(withdraw("club", "nobody", 9).await, 0);
    assert_eq!(entry_paths(&store, 2).await, before);
    let first = withdraw("club", "bob", 3).await;
    if first > 0 {
        assert_eq!(first, 3);
        assert_eq!(ok(store.count_entries(&peer_id(2)).await), before.len() as u64 - 3);
        assert_eq!(withdraw("club", "bob", 3).await, 2);
        assert_eq!(withdraw("club", "bob", 3).await, 0);
        assert_eq!(entry_paths(&store, 2).await, paths(&["other", "public"]));
    }
    assert_eq!(members(&store, "club").await, ["alice", "bob", "carol"]);
    for number in [1, 3] {
        assert_eq!(entry_paths(&store, number).await, paths(&["club", "other", "public"]));
    }
    let all = ["carol", "bob", "alice"].map(user);
    let rest = ok(store.withdraw_shared(&group("club"), &all, 9).await);
    assert_eq!(rest, if first > 0 { 2 } else { 0 });
}

/// The owner is not removed, nor is who is no member.
pub async fn the_owner_stays(store: Store) {
    a_club(&store).await;
    add_users(&store, &["dave"]).await;
    for (name, who) in [("club", "alice"), ("club", "dave"), ("club", "nobody"), ("no", "bob")] {
        let removed = store.remove_member(&group(name), &user(who)).await;
        assert!(!ok(removed), "{who} from {name}");
    }
    assert_eq!(members(&store, "club").await, ["alice", "bob", "carol"]);
    assert_eq!(ok(store.count_user_entries(&user("alice")).await), 3);
}

/// A group is given to a member; the owner before remains one and can leave then.
pub async fn a_group_is_given_to_a_member(store: Store) {
    a_club(&store).await;
    add_users(&store, &["dave"]).await;
    let club = group("club");
    assert!(!ok(store.set_group_owner(&club, &user("dave")).await));
    assert!(!ok(store.set_group_owner(&club, &user("nobody")).await));
    assert!(!ok(store.set_group_owner(&group("missing"), &user("bob")).await));
    assert_eq!(ok(store.group(&club).await), Some(record("club", "alice")));

    assert!(ok(store.set_group_owner(&club, &user("bob")).await));
    assert_eq!(ok(store.group(&club).await), Some(record("club", "bob")));
    assert_eq!(members(&store, "club").await, ["alice", "bob", "carol"]);
    assert!(!ok(store.remove_member(&club, &user("bob")).await));
    assert!(ok(store.remove_member(&club, &user("alice")).await));
    assert!(ok(store.set_group_owner(&club, &user("bob")).await), "to the owner: fine");
    assert!(ok(store.delete_user(&user("alice")).await));
    assert_eq!(members(&store, "club").await, ["bob", "carol"], "it is no longer alice's");
    assert_eq!(ok(store.group(&group("other")).await), None);
}

/// With another owner the invites into the group are gone but for the new owner's; all others stay.
pub async fn no_invite_outlives_its_makers_ownership(store: Store) {
    a_club(&store).await;
    let made = [
        invite(1, "alice", Some("club")),
        invite(2, "bob", Some("club")),
        invite(3, "carol", Some("club")),
        invite(4, "alice", Some("other")),
        invite(5, "alice", None),
    ];
    for invite in &made {
        assert!(ok(store.insert_invite(invite).await));
    }
    let club = group("club");
    assert!(!ok(store.set_group_owner(&club, &user("nobody")).await));
    for invite in &made {
        assert_eq!(ok(store.invite(&invite.hash).await).as_ref(), Some(invite));
    }
    assert!(ok(store.set_group_owner(&club, &user("bob")).await));
    for (number, is_there) in [(1, false), (2, true), (3, false), (4, true), (5, true)] {
        let found = ok(store.invite(&invite_hash(number)).await);
        assert_eq!(found.is_some(), is_there, "invite {number}");
    }
    let redeemed = store.redeem_invite(&invite_hash(1), &account("dave"), at(100)).await;
    assert_eq!(ok(redeemed), RedeemOutcome::NotGood);
    assert_eq!(members(&store, "club").await, ["alice", "bob", "carol"]);
}

/// Deleting a group deletes its memberships, what was shared with it, and the invites into it.
pub async fn deleting_a_group_withdraws_what_was_shared(store: Store) {
    a_club(&store).await;
    for (number, into) in [(1, Some("club")), (2, Some("other")), (3, None)] {
        assert!(ok(store.insert_invite(&invite(number, "alice", into)).await));
    }
    assert!(ok(store.delete_group(&group("club")).await));
    assert!(!ok(store.delete_group(&group("club")).await));

    assert_eq!(ok(store.group(&group("club")).await), None);
    assert_eq!(members(&store, "club").await, [""; 0]);
    assert_eq!(ok(store.groups_of(&user("bob")).await), [record("other", "alice")]);
    for number in [1, 2, 3] {
        assert_eq!(entry_paths(&store, number).await, paths(&["other", "public"]));
    }
    let all = viewer("bob", &["club", "other"]);
    assert_eq!(hits(&store, &all, &search("club")).await, []);
    let left = ok(store.invites_by(&user("alice")).await);
    assert_eq!(left, [invite(2, "alice", Some("other")), invite(3, "alice", None)]);

    add_group(&store, "club", "bob", &[]).await;
    assert_eq!(members(&store, "club").await, ["bob"], "a new group of the name is empty");
    assert_eq!(hits(&store, &all, &search("club")).await, []);
}

/// What a deleted member shared with others' groups is gone, and their groups with all in them.
pub async fn a_deleted_user_is_in_no_group(store: Store) {
    a_club(&store).await;
    assert!(ok(store.delete_user(&user("carol")).await));
    assert_eq!(members(&store, "club").await, ["alice", "bob"]);
    assert!(ok(store.delete_user(&user("alice")).await));
    assert_eq!(ok(store.groups_of(&user("bob")).await), []);
    assert_eq!(entry_paths(&store, 2).await, paths(&["public"]));
}

/// Disabling an account ends no membership.
pub async fn a_disabled_user_stays_a_member(store: Store) {
    a_club(&store).await;
    assert!(ok(store.set_disabled(&user("bob"), true).await));
    assert_eq!(members(&store, "club").await, ["alice", "bob", "carol"]);
    assert_eq!(ok(store.count_user_entries(&user("bob")).await), 3);
}
