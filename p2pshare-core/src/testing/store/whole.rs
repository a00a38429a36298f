//! Laws of [`IndexStore`](crate::index::store::IndexStore) as a whole.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::time::{sleep, timeout};

use super::fixture::*;
use crate::{
    api::{CatalogChange::Publish, Entry},
    index::model::{Session, StoreCounts},
};

/// A store that works says so, and what it is.
pub async fn a_store_answers(store: Store) {
    ok(store.check().await);
    assert!(!store.kind().is_empty());
}

/// An empty store has nothing and answers every question.
pub async fn an_empty_store_is_empty(store: Store) {
    assert_eq!(ok(store.counts(at(0), at(0)).await), StoreCounts::default());
    assert_eq!(ok(store.users(None, 9).await), []);
    let anybody = viewer("anybody", &["any"]);
    assert_eq!(hits(&store, &anybody, &search("")).await, []);
    assert_eq!(hits(&store, &anybody, &search("word -other")).await, []);
    assert_eq!(ok(store.good_invites(at(0), None, 9).await), []);
    assert_eq!(ok(store.purge_sessions(at(9)).await), 0);
    assert_eq!(ok(store.purge_peers(at(9), 9).await), 0);
    assert_eq!(ok(store.purge_invites(at(9)).await), 0);
    ok(store.touch_peers(&[(peer_id(1), at(9))]).await);
}

/// What is in a store is counted as it is at the times given.
pub async fn counts_are_of_now(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    assert!(ok(store.peer_leaves(&peer_id(3)).await));
    ok(store.touch_peers(&[(peer_id(1), at(150))]).await);
    let big = Entry { size: 1_000_000_000_000, ..entry("b", 2) };
    share(&store, "alice", 1, &[entry("a", 1), big]).await;
    share(&store, "carol", 3, &[entry("a", 1)]).await;
    for (number, expires) in [(1, 200), (2, 300)] {
        let session = Session { expires_at: at(expires), ..session(number, "alice", 100) };
        assert!(ok(store.open_session(&session, &verifier("alice"), 9).await));
    }
    let counts = StoreCounts {
        users: 3,
        sessions: 2,
        peers: 3,
        online: 2,
        entries: 3,
        bytes: 1_000_000_000_020,
    };
    assert_eq!(ok(store.counts(at(199), at(100)).await), counts);
    let later = StoreCounts { sessions: 1, online: 1, ..counts };
    assert_eq!(ok(store.counts(at(200), at(101)).await), later);
}

/// Another task sees what was done as soon as it is done, also in the middle of much else.
pub async fn writes_are_read_at_once(store: Store) {
    add_users(&store, &["alice"]).await;
    let tasks = (0..16_u8).map(|number| {
        let store = store.clone();
        async move {
            add_peer(&store, number, "alice").await;
            for round in 0..8 {
                let text = format!("file {round}");
                share(&store, "alice", number, &[entry(&text, number)]).await;
                let other = store.clone();
                let seen = async move { ok(other.count_entries(&peer_id(number)).await) };
                let seen = at_once([seen]).await;
                assert_eq!(seen, [round + 1]);
            }
        }
    });
    at_once(tasks).await;
    assert_eq!(ok(store.count_user_entries(&user("alice")).await), 128);
}

/// A dropped write is done or not done, and the store goes on.
pub async fn a_dropped_write_is_done_or_not(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    let alice = user("alice");
    let batch: Vec<_> = (0..50).map(|file| Publish(entry(&format!("file {file}"), 1))).collect();
    for polls in 0..20 {
        let id = peer_id(1);
        let write = store.publish(&alice, &id, &batch, at(100));
        drop_after(write, polls).await;
        let count = ok(store.count_entries(&id).await);
        assert!(count == 0 || count == 50, "{count} of 50 entries after {polls} polls");
        assert!(ok(store.delete_peer(&id).await));
        assert_eq!(ok(store.count_entries(&id).await), 0, "nothing comes after its peer is gone");
        add_peer(&store, 1, "alice").await;
    }
}

/// A lease is one holder's until it ends, who may keep it; or everybody's always, in a store that one process has.
pub async fn a_lease_is_held_by_one_or_by_all(store: Store) {
    const LONG: Duration = Duration::from_secs(600);
    let take = async |name: &str, holder: &str, lasts: Duration| {
        ok(store.lease(name, holder, lasts).await)
    };
    assert!(take("work", "$one", LONG).await);
    let shared = take("work", "two", LONG).await;
    assert!(take("work", "$one", LONG).await, "who has it keeps it");
    assert!(take("other", "two", LONG).await, "another is another's");
    let tasks = (0..8).map(|number| {
        let store = store.clone();
        async move { ok(store.lease("raced for", &number.to_string(), LONG).await) }
    });
    let holders = at_once(tasks).await.into_iter().filter(|taken| *taken).count();
    assert_eq!(holders, if shared { 8 } else { 1 });
    // Here until now.
    assert!(take("work", "$one", Duration::ZERO).await);
    let taken = async {
        while !take("work", "two", LONG).await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(60), taken).await.expect("a lease that ended is free");
    assert_eq!(take("work", "$one", LONG).await, shared);
}

/// Polls a future so many times, unless it is done before, and drops it.
async fn drop_after(future: impl Future, polls: u32) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
