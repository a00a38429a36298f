//! Laws of [`CatalogStore::search`](crate::index::store::CatalogStore::search): order and pages.

use super::fixture::*;
use crate::{
    api::{CatalogChange::Publish, Entry, Sort},
    index::search::{Position, Search, SearchSlice},
};

/// The more relevant first: whole words before beginnings, the file's own name before folders, short before long.
pub async fn relevance_orders(store: Store) {
    let texts = [
        "blueberry trainer/x.txt",
        "a/long/way/down/blue train.txt",
        "blue train.txt",
        "blue/train.txt",
        "blue train/x.txt",
    ];
    alice_shares(&store, &texts).await;
    let viewer = viewer("bob", &[]);
    assert_eq!(found(&store, &viewer, &search("blue train")).await, [3, 2, 4, 5, 1]);
}

/// Each sort orders by what it says; equal hits come by content id and size.
pub async fn each_sort_orders(store: Store) {
    world_to_sort(&store).await;
    for (sort, expected) in [
        (Sort::Largest, [3, 1, 2, 4, 5]),
        (Sort::Smallest, [5, 1, 2, 4, 3]),
        (Sort::Newest, [4, 2, 5, 3, 1]),
        (Sort::Oldest, [1, 3, 2, 5, 4]),
        (Sort::Sources, [2, 5, 3, 1, 4]),
        (Sort::Relevance, [1, 2, 3, 4, 5]),
    ] {
        let search = Search { sort, ..search("file") };
        assert_eq!(found(&store, &viewer("dave", &[]), &search).await, expected, "{sort:?}");
    }
}

/// Pages of any size, put together, are the whole answer, and only the last has no next.
pub async fn pages_make_the_whole(store: Store) {
    world_to_sort(&store).await;
    let resized = Entry { size: 7, ..entry("file", 2) };
    add_peer(&store, 9, "alice").await;
    share(&store, "alice", 9, &[resized]).await;
    let viewer = viewer("dave", &[]);
    for sort in SORTS {
        let whole = Search { sort, ..search("file") };
        let SearchSlice { hits: all, next } = ok(store.search(&viewer, &whole).await);
        assert_eq!((all.len(), next), (6, None), "{sort:?}");
        for limit in 1..=7 {
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let page = Search { limit, after, ..whole.clone() };
                let slice = ok(store.search(&viewer, &page).await);
                let left = all.len() - paged.len();
                assert_eq!(slice.hits.len(), left.min(limit as usize), "{sort:?} {limit}");
                assert_eq!(slice.next.is_some(), left > limit as usize, "{sort:?} {limit}");
                paged.extend(slice.hits);
                let Some(next) = slice.next else { break };
                let last = paged.last().map(|hit| (hit.content, hit.size));
                assert_eq!(Some((next.content, next.size)), last, "{sort:?} {limit}");
                after = Some(next);
            }
            assert_eq!(paged, all, "{sort:?} in pages of {limit}");
        }
    }
}

/// A position is a place in the order, whether or not a hit is there.
pub async fn a_position_need_not_be_a_hit(store: Store) {
    world_to_sort(&store).await;
    let viewer = viewer("dave", &[]);
    for (key, number, size, expected) in [
        (20, 0, 0, &[1, 2, 4, 3][..]),
        (20, 1, 20, &[2, 4, 3]),
        (20, 1, 21, &[2, 4, 3]),
        (20, 3, 0, &[4, 3]),
        (i64::MIN, 0, 0, &[5, 1, 2, 4, 3]),
        (i64::MAX, 255, u64::MAX, &[]),
    ] {
        let content = content(number);
        let after = Some(Position { key, content, size });
        let search = Search { sort: Sort::Smallest, after, ..search("file") };
        assert_eq!(found(&store, &viewer, &search).await, expected, "{after:?}");
    }
}

/// No more hits than asked for, not even one.
pub async fn a_search_is_bounded(store: Store) {
    world_to_sort(&store).await;
    let none = Search { limit: 0, ..search("file") };
    let viewer = viewer("dave", &[]);
    assert_eq!(ok(store.search(&viewer, &none).await).hits, []);
    let exact = Search { limit: 5, ..search("file") };
    let slice = ok(store.search(&viewer, &exact).await);
    assert_eq!((slice.hits.len(), slice.next), (5, None));
}

/// Five contents that differ in size (three are equal), age, and sources (three peers, one of them away).
async fn world_to_sort(store: &Store) {
    add_users_with_peers(store, &["alice", "bob", "carol"]).await;
    assert!(ok(store.peer_leaves(&peer_id(3)).await));
    let file = |number, size| Publish(Entry { size, ..entry(&format!("file {number}"), number) });
    for (owner, peer, number, size, seconds) in [
        ("alice", 1, 1, 20, 10),
        ("alice", 1, 2, 20, 40),
        ("bob", 2, 2, 20, 20),
        ("carol", 3, 2, 20, 20),
        ("alice", 1, 3, 30, 20),
        ("carol", 3, 3, 30, 15),
        ("carol", 3, 4, 20, 50),
        ("alice", 1, 5, 10, 40),
        ("bob", 2, 5, 10, 40),
    ] {
        publish(store, owner, peer, &[file(number, size)], seconds).await;
    }
}
