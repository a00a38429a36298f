//! Laws of [`IndexStore::overviews`](crate::index::store::IndexStore::overviews).

use super::fixture::*;
use crate::{
    api::{CatalogChange, Entry, UserOverview, Visibility},
    content::MAX_CONTENT_LEN,
    index::model::{OverviewRequest, User},
};

/// Of all accounts at 100 seconds.
fn all() -> OverviewRequest {
    OverviewRequest {
        prefix: String::new(),
        after: None,
        limit: 100,
        now: at(100),
        online_since: at(100),
    }
}

/// What is told of an account that has nothing.
fn nothing(name: &str) -> UserOverview {
    UserOverview {
        username: user(name),
        operator: false,
        disabled: false,
        created_at: at(1),
        sessions: 0,
        peers: 0,
        online: 0,
        files: 0,
        bytes: 0,
        last_seen: None,
    }
}

async fn names(store: &Store, request: &OverviewRequest) -> Vec<String> {
    let page = ok(store.overviews(request).await);
    page.into_iter().map(|account| account.username.to_string()).collect()
}

/// Sessions, peers, entries and bytes are those of the account alone, whoever may see them, over all its peers.
pub async fn an_overview_tells_how_much_is_whose(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    add_peer(&store, 3, "alice").await;
    add_group(&store, "club", "alice", &["bob"]).await;
    let root = User { operator: true, disabled: true, created_at: at(-7), ..account("root") };
    assert!(ok(store.insert_user(&root, false).await));
    let large = Entry { size: MAX_CONTENT_LEN, ..entry("large", 2) };
    share(&store, "alice", 1, &[entry("a", 1), entry_for("b", 2, &shared_with("club"))]).await;
    share(&store, "alice", 3, &[entry_for("c", 1, &Visibility::Unlisted), large]).await;
    let withdraw = [CatalogChange::Publish(entry("b", 1)), CatalogChange::Withdraw(path("b"))];
    publish(&store, "bob", 2, &withdraw, 100).await;
    for (number, name) in [(1, "alice"), (2, "alice"), (3, "bob")] {
        let opened = store.open_session(&session(number, name, 100), &verifier(name), 9).await;
        assert!(ok(opened));
    }
    ok(store.touch_peers(&[(peer_id(3), at(150))]).await);
    let expected = [
        UserOverview {
            sessions: 2,
            peers: 2,
            online: 2,
            files: 4,
            bytes: MAX_CONTENT_LEN + 30,
            last_seen: Some(at(150)),
            ..nothing("alice")
        },
        UserOverview {
            sessions: 1,
            peers: 1,
            online: 1,
            last_seen: Some(at(100)),
            ..nothing("bob")
        },
        UserOverview { operator: true, disabled: true, created_at: at(-7), ..nothing("root") },
    ];
    assert_eq!(ok(store.overviews(&all()).await), expected);
}

/// Which sessions are open and which peers online is told from the times given; who said goodbye was not seen.
pub async fn an_overview_is_of_its_time(store: Store) {
    add_users(&store, &["alice"]).await;
    for number in [1, 2] {
        add_peer(&store, number, "alice").await;
        let opened = session(number, "alice", i64::from(number) * 100);
        assert!(ok(store.open_session(&opened, &verifier("alice"), 9).await));
    }
    ok(store.touch_peers(&[(peer_id(2), at(200))]).await);
    let both = UserOverview {
        sessions: 2,
        peers: 2,
        online: 2,
        last_seen: Some(at(200)),
        ..nothing("alice")
    };
    assert_eq!(ok(store.overviews(&all()).await), std::slice::from_ref(&both));
    let later = OverviewRequest { now: at(1100), online_since: at(101), ..all() };
    let one = UserOverview { sessions: 1, online: 1, ..both.clone() };
    assert_eq!(ok(store.overviews(&later).await), [one]);
    for number in [1, 2] {
        assert!(ok(store.peer_leaves(&peer_id(number)).await));
    }
    let away = UserOverview { online: 0, last_seen: None, ..both };
    assert_eq!(ok(store.overviews(&all()).await), [away]);
}

/// Pages come in order of name, after the one given, no more than asked for.
pub async fn overviews_are_paged_in_order_of_name(store: Store) {
    let sorted = ["0", "a", "a-", "a-b", "a.b", "a0", "a_", "ab", "b"];
    let mixed = ["b", "a_", "0", "a.b", "a", "ab", "a-", "a0", "a-b"];
    add_users(&store, &mixed).await;
    for limit in [1, 2, 4, 9, 100] {
        let mut request = OverviewRequest { limit, ..all() };
        let mut seen = Vec::new();
        loop {
            let page = ok(store.overviews(&request).await);
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            request.after = Some(last.username.clone());
            seen.extend(page);
        }
        assert_eq!(seen, sorted.map(nothing), "limit {limit}");
    }
    let none = OverviewRequest { limit: 0, ..all() };
    assert_eq!(ok(store.overviews(&none).await), []);
}

/// Only names that begin with the prefix are told, whatever a sign of it means elsewhere.
pub async fn a_prefix_is_of_the_name(store: Store) {
    add_users(&store, &["al", "al.b", "alba", "ali", "bal", "al_x", "zal"]).await;
    for (prefix, after, expected) in [
        ("al", None, &["al", "al.b", "al_x", "alba", "ali"][..]),
        ("al", Some("al.b"), &["al_x", "alba", "ali"]),
        ("al", Some("a"), &["al", "al.b", "al_x", "alba", "ali"]),
        ("al", Some("b"), &[]),
        ("al.", None, &["al.b"]),
        ("al_", None, &["al_x"]),
        ("z", None, &["zal"]),
        ("al%", None, &[]),
        ("AL", None, &[]),
        ("alibaba", None, &[]),
    ] {
        let after = after.map(user);
        let request = OverviewRequest { prefix: prefix.to_owned(), after, ..all() };
        assert_eq!(names(&store, &request).await, expected, "{prefix}");
    }
}
