//! Laws of [`CatalogStore`](crate::index::store::CatalogStore): publishing.

use std::collections::BTreeSet;

use super::fixture::*;
use crate::{
    api::{
        CatalogChange::{self, Publish, Withdraw},
        Entry, Published, Visibility,
    },
    content::MAX_CONTENT_LEN,
    path::SharePath,
    time::Timestamp,
};

async fn alice_with_a_peer(store: &Store) {
    add_users(store, &["alice"]).await;
    add_peer(store, 1, "alice").await;
}

/// When a content was published, as its publisher finds it.
async fn published_at(store: &Store, number: u8) -> Vec<Timestamp> {
    let viewer = viewer("alice", &[]);
    let hits = ok(store.content(&viewer, &content(number), at(0), 9).await);
    hits.iter().map(|hit| hit.published_at).collect()
}

/// What was published is there as it was given.
pub async fn an_entry_is_kept_as_given(store: Store) {
    alice_with_a_peer(&store).await;
    add_group(&store, "club", "alice", &[]).await;
    let entries = [
        Entry { size: 0, ..entry("0 empty.bin", 1) },
        Entry { size: MAX_CONTENT_LEN, ..entry("1 largest", 2) },
        entry_for("2 Dvořák 🎻/Größe.FLAC", 3, &Visibility::Unlisted),
        entry_for("3 %_'`$(x)", 4, &shared_with("club")),
    ];
    share(&store, "alice", 1, &entries).await;
    assert_eq!(ok(store.entries(&peer_id(1), None, 9).await), entries);
}

/// Each change is counted as what it did.
pub async fn changes_are_counted(store: Store) {
    alice_with_a_peer(&store).await;
    let first = [Publish(entry("a", 1)), Publish(entry("b", 2))];
    let counted = publish(&store, "alice", 1, &first, 100).await;
    let expected = Published { added: 2, total: 2, ..Published::default() };
    assert_eq!(counted, expected);
    let second = [
        Publish(entry("a", 1)),
        Publish(entry("b", 3)),
        Publish(entry("c", 1)),
        Withdraw(path("a")),
        Withdraw(path("nothing")),
    ];
    let counted = publish(&store, "alice", 1, &second, 100).await;
    let expected = Published { added: 1, replaced: 1, unchanged: 2, withdrawn: 1, total: 2 };
    assert_eq!(counted, expected);
    let counted = publish(&store, "alice", 1, &[], 100).await;
    assert_eq!(counted, Published { total: 2, ..Published::default() });
}

/// A batch that is sent again changes nothing, times included.
pub async fn publishing_again_changes_nothing(store: Store) {
    alice_with_a_peer(&store).await;
    let batch = [
        Publish(entry("a", 1)),
        Publish(entry_for("b", 2, &Visibility::Unlisted)),
        Withdraw(path("c")),
    ];
    publish(&store, "alice", 1, &batch, 100).await;
    let again = publish(&store, "alice", 1, &batch, 200).await;
    let expected = Published { unchanged: 3, total: 2, ..Published::default() };
    assert_eq!(again, expected);
    assert_eq!(published_at(&store, 1).await, [at(100)]);
    assert_eq!(published_at(&store, 2).await, [at(100)]);
}

/// Another content, size or visibility of a path replaces the entry and has the new time.
pub async fn a_changed_entry_has_the_new_time(store: Store) {
    alice_with_a_peer(&store).await;
    let mut now = 100;
    let resized = Entry { size: 11, ..entry("a", 2) };
    let hidden = Entry { visibility: Visibility::Unlisted, ..resized.clone() };
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    for entry in [entry("a", 2), resized, hidden] {
        now += 1;
        let counted = publish(&store, "alice", 1, &[Publish(entry.clone())], now).await;
        assert_eq!((counted.replaced, counted.total), (1, 1), "{entry:?}");
        assert_eq!(published_at(&store, 2).await, [at(now)], "{entry:?}");
        assert_eq!(ok(store.entries(&peer_id(1), None, 9).await), [entry]);
    }
    assert_eq!(published_at(&store, 1).await, []);
}

/// A time can be earlier than the one before: a store trusts what it is told.
pub async fn time_may_go_back(store: Store) {
    alice_with_a_peer(&store).await;
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    publish(&store, "alice", 1, &[Publish(entry("a", 2))], 50).await;
    assert_eq!(published_at(&store, 2).await, [at(50)]);
}

/// The changes of a batch happen in order, also those of one path.
pub async fn a_batch_is_applied_in_order(store: Store) {
    alice_with_a_peer(&store).await;
    share(&store, "alice", 1, &[entry("back", 1), entry("gone", 2)]).await;
    let batch = [
        Withdraw(path("back")),
        Publish(entry("back", 1)),
        Publish(entry("gone", 3)),
        Withdraw(path("gone")),
        Publish(entry("never", 4)),
        Withdraw(path("never")),
        Publish(entry("twice", 5)),
        Publish(entry("twice", 6)),
        Publish(entry("twice", 6)),
    ];
    let counted = publish(&store, "alice", 1, &batch, 200).await;
    let expected = Published { added: 3, replaced: 2, unchanged: 1, withdrawn: 3, total: 2 };
    assert_eq!(counted, expected);
    let left = ok(store.entries(&peer_id(1), None, 9).await);
    assert_eq!(left, [entry("back", 1), entry("twice", 6)]);
    assert_eq!(published_at(&store, 1).await, [at(200)], "withdrawn and new again");
    for number in [2, 3, 4, 5] {
        assert_eq!(published_at(&store, number).await, []);
    }
}

/// Nobody publishes for a peer that is not there or not theirs.
pub async fn only_its_owner_publishes_for_a_peer(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    let batch = [Publish(entry("b", 2)), Withdraw(path("a"))];
    for (name, number) in [("bob", 1), ("nobody", 1), ("alice", 2), ("alice", 9)] {
        let refused = store.publish(&user(name), &peer_id(number), &batch, at(200)).await;
        assert_eq!(ok(refused), None, "{name} for peer {number}");
    }
    assert_eq!(entry_paths(&store, 1).await, paths(&["a"]));
    for number in [2, 9] {
        assert_eq!(entry_paths(&store, number).await, []);
    }
}

/// Nobody publishes to a group that they are not in, and the whole batch is refused with it.
pub async fn only_members_publish_to_a_group(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    add_group(&store, "club", "bob", &[]).await;
    let changes = |group: &str| {
        let mut changes: Vec<_> =
            (0..20).map(|number| Publish(entry(&format!("file{number}"), number))).collect();
        changes.push(Publish(entry_for("secret", 99, &shared_with(group))));
        changes
    };
    for group in ["club", "missing"] {
        let refused = store.publish(&user("alice"), &peer_id(1), &changes(group), at(100)).await;
        assert_eq!(ok(refused), None, "{group}");
        assert_eq!(ok(store.count_entries(&peer_id(1)).await), 0, "none of the batch is there");
    }
    assert!(ok(store.add_member(&group("club"), &user("alice")).await));
    let counted = publish(&store, "alice", 1, &changes("club"), 100).await;
    assert_eq!(counted.added, 21);
}

/// No publish slips past the end of a membership.
pub async fn no_publish_slips_past_the_end_of_a_membership(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    add_group(&store, "club", "bob", &[]).await;
    for round in 0..20 {
        assert!(ok(store.add_member(&group("club"), &user("alice")).await));
        let tasks = (0..8_u8).map(|number| {
            let store = store.clone();
            async move {
                if number == 4 {
                    ok(store.remove_member(&group("club"), &user("alice")).await);
                    return;
                }
                let entry = entry_for(&format!("file{number}"), number, &shared_with("club"));
                let batch = [Publish(entry)];
                ok(store.publish(&user("alice"), &peer_id(1), &batch, at(100)).await);
            }
        });
        at_once(tasks).await;
        assert_eq!(entry_paths(&store, 1).await, [], "round {round}");
    }
}

/// Batches of one peer that come at once are each applied as a whole.
pub async fn batches_at_once_do_not_mix(store: Store) {
    alice_with_a_peer(&store).await;
    let batches = (0..8).map(|number| {
        let store = store.clone();
        let batch: Vec<CatalogChange> =
            (0..20).map(|file| Publish(entry(&format!("file{file}"), number))).collect();
        async move { publish(&store, "alice", 1, &batch, 100).await }
    });
    for counted in at_once(batches).await {
        assert_eq!(counted.total, 20);
        assert!(counted.added == 20 || counted.replaced == 20, "{counted:?}");
    }
    let entries = ok(store.entries(&peer_id(1), None, 99).await);
    let contents: BTreeSet<_> = entries.iter().map(|entry| entry.content).collect();
    assert_eq!(contents.len(), 1, "the last batch won as a whole");
}

/// A peer's entries come in order of path, after the one given, no more than asked for.
pub async fn entries_are_paged_in_order(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    let texts = ["A", "a", "a b", "a!", "a-b", "a.b", "a/b", "a0", "aB", "b", "é", "日本", "🎻"];
    let in_order = paths(&texts);
    assert!(in_order.is_sorted());
    let mut entries: Vec<_> = texts.iter().map(|text| entry(text, 1)).collect();
    share(&store, "alice", 1, &entries).await;
    share(&store, "bob", 2, &[entry("a a", 1)]).await;
    entries.reverse();
    share(&store, "alice", 1, &entries).await;
    for limit in [1, 3, 13, 100] {
        let mut seen = Vec::new();
        loop {
            let page = ok(store.entries(&peer_id(1), seen.last(), limit).await);
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|entry| entry.path));
        }
        assert_eq!(seen, in_order, "limit {limit}");
    }
    let after_a_missing_one = ok(store.entries(&peer_id(1), Some(&path("a/a")), 1).await);
    assert_eq!(after_a_missing_one, [entry("a/b", 1)]);
    assert_eq!(ok(store.entries(&peer_id(9), None, 9).await), []);
}

/// With their times come the same entries in the same pages, each with the time that it was published.
pub async fn dated_entries_are_paged_alike(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    share(&store, "bob", 2, &[entry("a a", 1)]).await;
    let mut expected = Vec::new();
    for (seconds, text) in (101..).zip(["A", "a", "a b", "a!", "a/b", "é", "日本"]) {
        publish(&store, "alice", 1, &[Publish(entry(text, 1))], seconds).await;
        expected.push((entry(text, 1), at(seconds)));
    }
    let changed = entry_for("a b", 2, &Visibility::Unlisted);
    let later = [Publish(entry("a", 1)), Publish(changed.clone())];
    publish(&store, "alice", 1, &later, 200).await;
    expected[2] = (changed, at(200));
    for limit in [1, 3, 7, 100] {
        let mut seen: Vec<(Entry, Timestamp)> = Vec::new();
        loop {
            let after = seen.last().map(|(entry, _)| entry.path.clone());
            let dated = ok(store.dated_entries(&peer_id(1), after.as_ref(), limit).await);
            let entries = ok(store.entries(&peer_id(1), after.as_ref(), limit).await);
            assert!(dated.iter().map(|(entry, _)| entry).eq(&entries), "limit {limit}");
            if dated.is_empty() {
                break;
            }
            seen.extend(dated);
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
    let after_a_missing_one = store.dated_entries(&peer_id(1), Some(&path("a/a")), 1).await;
    assert_eq!(ok(after_a_missing_one), [(entry("a/b", 1), at(105))]);
    assert_eq!(ok(store.dated_entries(&peer_id(1), None, 0).await), []);
    assert_eq!(ok(store.dated_entries(&peer_id(9), None, 9).await), []);
}

/// Entries are counted for each peer, and for all peers of a user.
pub async fn entries_are_counted(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, owner) in [(1, "alice"), (2, "alice"), (3, "bob")] {
        add_peer(&store, number, owner).await;
    }
    share(&store, "alice", 1, &[entry("a", 1), entry("b", 1)]).await;
    share(&store, "alice", 2, &[entry_for("a", 1, &Visibility::Unlisted)]).await;
    share(&store, "bob", 3, &[entry("a", 1)]).await;
    for (number, count) in [(1, 2), (2, 1), (3, 1), (9, 0)] {
        assert_eq!(ok(store.count_entries(&peer_id(number)).await), count, "peer {number}");
    }
    for (name, count) in [("alice", 3), ("bob", 1), ("nobody", 0)] {
        assert_eq!(ok(store.count_user_entries(&user(name)).await), count, "{name}");
    }
}

/// Of the paths asked about, those are counted under which the peer has an entry, to nobody but its owner.
pub async fn known_paths_are_counted(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    add_peer(&store, 3, "alice").await;
    let hidden = entry_for("b", 2, &Visibility::Unlisted);
    share(&store, "alice", 1, &[entry("a", 1), hidden, entry("c/d", 3)]).await;
    share(&store, "alice", 3, &[entry("e", 1)]).await;
    publish(&store, "alice", 1, &[Publish(entry("f", 1)), Withdraw(path("f"))], 100).await;
    for (name, number, asked, count) in [
        ("alice", 1, "a b c/d", 3),
        ("alice", 1, "a A c d e f", 1),
        ("alice", 1, "", 0),
        ("alice", 3, "a b e", 1),
        ("alice", 9, "a", 0),
        ("bob", 1, "a b c/d", 0),
        ("nobody", 1, "a", 0),
    ] {
        let asked: BTreeSet<SharePath> = asked.split_whitespace().map(path).collect();
        let counted = store.count_known_paths(&user(name), &peer_id(number), &asked).await;
        assert_eq!(ok(counted), count, "{name} of peer {number}: {asked:?}");
    }
}
