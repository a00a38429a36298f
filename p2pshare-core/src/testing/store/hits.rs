//! Laws of [`CatalogStore::search`](crate::index::store::CatalogStore::search): what a hit is.

use super::fixture::*;
use crate::{
    api::{CatalogChange::Publish, Entry, Hit, HitName, Sort, Visibility},
    index::{
        model::Peer,
        search::{Filter, NAMES_PER_HIT, Search},
    },
};

/// One hit is one content of one size: its names are together, another size is another hit.
pub async fn a_hit_is_one_content_of_one_size(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    let liar = Entry { size: 11, ..entry("song.mp3", 1) };
    share(&store, "alice", 1, &[entry("song.mp3", 1), entry("copy of song.mp3", 1)]).await;
    share(&store, "bob", 2, &[liar]).await;
    let hits = hits(&store, &viewer("carol", &[]), &search("song")).await;
    let shape: Vec<_> = hits.iter().map(|hit| (hit.size, hit.names.len(), hit.sources)).collect();
    assert_eq!(shape, [(10, 2, 1), (11, 1, 1)]);
}

/// Names are those that match, the most relevant first, then by path and owner; each once, at most eight.
pub async fn names_are_the_best_that_match(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, owner) in [(1, "bob"), (2, "alice"), (3, "alice")] {
        add_peer(&store, number, owner).await;
    }
    let texts = ["x/y/train", "train", "trains", "train/x", "other"];
    let entries: Vec<_> = texts.iter().map(|text| entry(text, 1)).collect();
    share(&store, "bob", 1, &entries).await;
    share(&store, "alice", 2, &[entry("train", 1)]).await;
    share(&store, "alice", 3, &[entry("train", 1), entry("a train", 1)]).await;
    let name = |text, owner| HitName { path: path(text), owner: user(owner) };
    let viewer = viewer("carol", &[]);
    let found = hits(&store, &viewer, &search("train")).await;
    let expected = [
        name("train", "alice"),
        name("train", "bob"),
        name("a train", "alice"),
        name("x/y/train", "bob"),
        name("train/x", "bob"),
        name("trains", "bob"),
    ];
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].names, expected);

    let many: Vec<_> = (10..30).map(|number| entry(&format!("train {number}"), 1)).collect();
    share(&store, "alice", 2, &many).await;
    let found = hits(&store, &viewer, &search("train")).await;
    assert_eq!(found[0].names.len(), NAMES_PER_HIT);
    assert_eq!(found[0].names[..2], expected[..2]);
    assert_eq!(found[0].names[7], name("train 14", "alice"));
}

/// A hit's time is the newest of its entries that match, its sources are all peers whose entries the viewer sees.
pub async fn time_is_of_what_matches_and_sources_of_what_is_seen(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    add_peer(&store, 4, "alice").await;
    let at_time = async |owner: &str, number, text: &str, seconds| {
        publish(&store, owner, number, &[Publish(entry(text, 1))], seconds).await;
    };
    at_time("alice", 1, "song one", 100).await;
    at_time("alice", 1, "song two", 110).await;
    at_time("alice", 4, "song one", 90).await;
    at_time("bob", 2, "other", 500).await;
    at_time("carol", 3, "song three", 105).await;
    let found = hits(&store, &viewer("dave", &[]), &search("song")).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].published_at, at(110));
    assert_eq!((found[0].online, found[0].sources), (4, 4));
    let filtered = Search {
        filter: Filter { owner: Some(user("carol")), ..Filter::default() },
        ..search("song")
    };
    let found = hits(&store, &viewer("dave", &[]), &filtered).await;
    assert_eq!(found[0].published_at, at(105));
    assert_eq!(found[0].names.len(), 1);
    assert_eq!(found[0].sources, 4, "filters choose hits, not sources");
}

/// Very many paths of one content that a peer shares for some hide nothing of it from others.
pub async fn very_many_paths_of_a_content_hide_none(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    add_group(&store, "club", "bob", &[]).await;
    let many = |name: &str, visibility: &Visibility| -> Vec<Entry> {
        (0..50).map(|at| entry_for(&format!("{name} {at}"), 1, visibility)).collect()
    };
    let larger = Entry { size: 11, ..entry_for("larger song", 1, &Visibility::Unlisted) };
    let before = [many("unlisted song", &Visibility::Unlisted), vec![larger]].concat();
    share(&store, "alice", 1, &before).await;
    share(&store, "alice", 1, &[entry("open song", 1)]).await;
    share(&store, "bob", 2, &many("club song", &shared_with("club"))).await;
    share(&store, "bob", 2, &many("other", &Visibility::Public)).await;
    share(&store, "bob", 2, &[entry("own song", 1)]).await;
    share(&store, "carol", 3, &[entry("song", 1)]).await;
    let all: Vec<_> = ["open song", "own song", "song"].map(path).into();
    for sort in [Sort::Relevance, Sort::Newest, Sort::Oldest, Sort::Sources, Sort::Largest] {
        let search = Search { sort, ..search("song") };
        let found = hits(&store, &viewer("dave", &[]), &search).await;
        let of = |hit: &Hit| {
            let mut names: Vec<_> = hit.names.iter().map(|name| name.path.clone()).collect();
            names.sort_unstable();
            (hit.size, hit.sources, names)
        };
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [(10, 3, all.clone())], "{sort:?}");
    }
    let known = ok(store.content(&viewer("dave", &[]), &content(1), at(0), 9).await);
    let shape: Vec<_> = known.iter().map(|hit| (hit.size, hit.sources)).collect();
    assert_eq!(shape, [(10, 3), (11, 1)]);
}

/// Peers heard of at the time given or later are online; others are sources that are not.
pub async fn presence_is_told_from_the_time_given(store: Store) {
    add_users(&store, &["alice"]).await;
    for (number, last_seen) in [(1, Some(99)), (2, Some(100)), (3, Some(101)), (4, None)] {
        let peer =
            Peer { last_seen: last_seen.map(at), addresses: Vec::new(), ..peer(number, "alice") };
        add_this_peer(&store, &peer).await;
        share(&store, "alice", number, &[entry("a", 1)]).await;
    }
    for (since, online) in [(0, 3), (99, 3), (100, 2), (101, 1), (102, 0)] {
        let search = Search { online_since: at(since), ..search("a") };
        let found = hits(&store, &viewer("bob", &[]), &search).await;
        assert_eq!((found[0].online, found[0].sources), (online, 4), "since {since}");
    }
}
