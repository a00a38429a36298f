//! Laws of [`CatalogStore`](crate::index::store::CatalogStore): what is known of a content, and where it is.

use super::fixture::*;
use crate::{
    api::{CatalogChange::Publish, Entry, HitName, SourceKind, Visibility},
    index::{
        model::{FoundSource, LocateRequest, Location, Peer},
        search::NAMES_PER_HIT,
    },
};

fn request(numbers: &[u8]) -> LocateRequest {
    LocateRequest {
        contents: numbers.iter().map(|number| content(*number)).collect(),
        online_since: at(100),
        now: at(100),
        limit: 100,
        pivot: peer_id(0),
    }
}

async fn locate(store: &Store, request: &LocateRequest) -> Vec<Location> {
    ok(store.locate(&viewer("dave", &[]), request).await)
}

/// The numbers of the sources of the one content asked for, and how much they have.
async fn sources(store: &Store, request: &LocateRequest) -> Vec<(u8, SourceKind)> {
    let located = locate(store, request).await;
    assert_eq!(located.len(), 1, "{request:?}");
    let sources = located[0].sources.iter();
    sources.map(|source| (source.peer.as_bytes()[0], source.kind)).collect()
}

fn full(numbers: &[u8]) -> Vec<(u8, SourceKind)> {
    numbers.iter().map(|number| (*number, SourceKind::Full)).collect()
}

fn sized(text: &str, number: u8, size: u64) -> Entry {
    Entry { size, ..entry(text, number) }
}

/// A user with peers of these numbers, each of which shares content 1.
async fn alice_with_sources(store: &Store, numbers: &[u8]) {
    add_users(store, &["alice"]).await;
    for number in numbers {
        add_peer(store, *number, "alice").await;
        share(store, "alice", *number, &[entry("a", 1)]).await;
    }
}

/// Very many paths of one content are one source for each peer, in all the groups that they are shared with.
pub async fn very_many_paths_are_one_source(store: Store) {
    add_users(&store, &["alice", "bob", "dave"]).await;
    add_group(&store, "club", "bob", &["dave"]).await;
    for (number, owner) in [(1, "alice"), (2, "bob"), (3, "alice")] {
        add_peer(&store, number, owner).await;
    }
    for (owner, number, name, visibility) in [
        ("alice", 1, "unlisted", Visibility::Unlisted),
        ("alice", 1, "public", Visibility::Public),
        ("bob", 2, "club", shared_with("club")),
    ] {
        let many = (0..50).map(|at| entry_for(&format!("{name} {at}"), 1, &visibility));
        share(&store, owner, number, &many.collect::<Vec<_>>()).await;
    }
    share(&store, "alice", 3, &[entry("a", 1), sized("b", 1, 99)]).await;
    let dave = viewer("dave", &["club"]);
    let located = ok(store.locate(&dave, &request(&[1])).await);
    let [located] = &located[..] else { panic!("{located:?}") };
    assert_eq!((located.size, located.total), (10, 3));
    assert_eq!(located.groups, [group("club")]);
    let sources = located.sources.iter();
    let sources: Vec<_> = sources.map(|source| source.peer.as_bytes()[0]).collect();
    assert_eq!(sources, [1, 2, 3]);
}

/// A content has one hit for each size that is claimed, what most have first, then what most have online, then the
/// smallest; at most as many as asked for.
pub async fn a_content_has_a_hit_for_each_size(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    share(&store, "alice", 1, &[sized("a", 1, 10), sized("b", 1, 10), sized("c", 1, 3)]).await;
    share(&store, "bob", 2, &[sized("a", 1, 10), sized("b", 1, 200), entry("c", 2)]).await;
    assert!(ok(store.peer_leaves(&peer_id(2)).await));
    let dave = viewer("dave", &[]);
    let hits = ok(store.content(&dave, &content(1), at(100), 9).await);
    let shape: Vec<_> =
        hits.iter().map(|hit| (hit.size, hit.names.len(), hit.online, hit.sources)).collect();
    assert_eq!(shape, [(10, 3, 1, 2), (3, 1, 1, 1), (200, 1, 0, 1)]);
    assert!(hits.iter().all(|hit| hit.content == content(1)));
    let bounded = ok(store.content(&dave, &content(1), at(100), 2).await);
    assert_eq!(bounded, hits[..2]);
    // Smaller ones that one peer claims hide none.
    let false_ones: Vec<_> = (0..9).map(|size| sized(&format!("{size}"), 1, size)).collect();
    share(&store, "alice", 1, &false_ones).await;
    let hits = ok(store.content(&dave, &content(1), at(100), 9).await);
    let sizes: Vec<_> = hits.iter().map(|hit| hit.size).collect();
    assert_eq!(sizes, [10, 0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ok(store.content(&dave, &content(9), at(100), 9).await), []);
}

/// The names of a content are in order of path and owner, each once, at most eight; its time is the newest.
pub async fn names_of_a_content_are_in_order(store: Store) {
    add_users_with_peers(&store, &["bob", "alice", "carol"]).await;
    add_peer(&store, 4, "alice").await;
    for (owner, number, seconds) in [("bob", 1, 30), ("alice", 2, 20), ("alice", 4, 40)] {
        let changes = ["b", "a", "a b"].map(|text| Publish(entry(text, 1)));
        publish(&store, owner, number, &changes, seconds).await;
    }
    let dave = viewer("dave", &[]);
    let hits = ok(store.content(&dave, &content(1), at(100), 9).await);
    let pairs = [
        ("a", "alice"),
        ("a", "bob"),
        ("a b", "alice"),
        ("a b", "bob"),
        ("b", "alice"),
        ("b", "bob"),
    ];
    let names = pairs.map(|(text, owner)| HitName { path: path(text), owner: user(owner) });
    assert_eq!(hits[0].names, names);
    assert_eq!(hits[0].published_at, at(40));
    let more: Vec<_> = (10..30).map(|number| entry(&format!("c{number}"), 1)).collect();
    share(&store, "carol", 3, &more).await;
    let hits = ok(store.content(&dave, &content(1), at(100), 9).await);
    assert_eq!(hits[0].names.len(), NAMES_PER_HIT);
    assert_eq!(hits[0].names[..6], names);
}

/// Contents are answered in the order asked, each once; what is not there is left out.
pub async fn contents_are_located_in_the_order_asked(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    let entries: Vec<_> = (1..5).map(|number| entry(&format!("{number}"), number)).collect();
    share(&store, "alice", 1, &entries).await;
    let located = locate(&store, &request(&[3, 9, 1, 3, 4, 1])).await;
    let numbers: Vec<_> = located.iter().map(|one| one.content.as_bytes()[0]).collect();
    assert_eq!(numbers, [3, 1, 4]);
    assert_eq!(locate(&store, &request(&[])).await, []);
}

/// A source is told with its owner, addresses and what it has.
pub async fn a_source_is_told_whole(store: Store) {
    add_users(&store, &["alice"]).await;
    let two = Peer { addresses: vec![address(9), address(1)], ..peer(1, "alice") };
    add_this_peer(&store, &two).await;
    share(&store, "alice", 1, &[entry("a", 1)]).await;
    let expected = Location {
        content: content(1),
        size: 10,
        total: 1,
        groups: Vec::new(),
        sources: vec![FoundSource {
            peer: peer_id(1),
            owner: user("alice"),
            addresses: two.addresses,
            kind: SourceKind::Full,
            groups: Vec::new(),
        }],
    };
    assert_eq!(locate(&store, &request(&[1])).await, [expected]);
}

/// The size is what most peers claim; of equally many, the smallest. Each peer counts once for each size.
pub async fn the_size_is_what_most_peers_claim(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    let size = || async { locate(&store, &request(&[1])).await[0].size };
    let liar: Vec<_> = (0..9).map(|number| sized(&format!("{number}"), 1, 99)).collect();
    share(&store, "alice", 1, &liar).await;
    assert_eq!(size().await, 99);
    share(&store, "bob", 2, &[sized("a", 1, 200)]).await;
    assert_eq!(size().await, 99, "one peer each: the smallest");
    share(&store, "carol", 3, &[sized("a", 1, 200)]).await;
    assert_eq!(size().await, 200, "two peers against nine entries of one");
    share(&store, "carol", 3, &[sized("b", 1, 99), sized("c", 1, 7)]).await;
    assert_eq!(size().await, 99, "a peer counts for each size it claims");
    assert_eq!(locate(&store, &request(&[1])).await[0].total, 3);
    assert_eq!(sources(&store, &request(&[1])).await, full(&[1, 2, 3]), "whatever the size");
}

/// Peers that are offline, or have no address, count in the total and are no sources.
pub async fn sources_can_be_reached(store: Store) {
    alice_with_sources(&store, &[1, 2, 3]).await;
    assert!(ok(store.peer_leaves(&peer_id(1)).await));
    let nowhere = Peer { addresses: Vec::new(), ..peer(4, "alice") };
    add_this_peer(&store, &nowhere).await;
    share(&store, "alice", 4, &[entry("a", 1)]).await;
    ok(store.touch_peers(&[(peer_id(3), at(101))]).await);
    assert_eq!(sources(&store, &request(&[1])).await, full(&[2, 3]));
    let later = LocateRequest { online_since: at(101), ..request(&[1]) };
    assert_eq!(sources(&store, &later).await, full(&[3]));
    let none = LocateRequest { online_since: at(102), ..request(&[1]) };
    let located = locate(&store, &none).await;
    assert_eq!((located[0].total, located[0].sources.len()), (4, 0), "known, but nobody is there");
}

/// Sources come from the pivot on, around the circle of ids, at most as many as asked for.
pub async fn sources_come_from_the_pivot_on(store: Store) {
    alice_with_sources(&store, &[10, 20, 30, 40]).await;
    for (pivot, expected) in [
        (0, [10, 20, 30, 40]),
        (10, [10, 20, 30, 40]),
        (11, [20, 30, 40, 10]),
        (30, [30, 40, 10, 20]),
        (40, [40, 10, 20, 30]),
        (41, [10, 20, 30, 40]),
        (255, [10, 20, 30, 40]),
    ] {
        for limit in [0, 1, 3, 4, 9] {
            let request = LocateRequest { pivot: peer_id(pivot), limit, ..request(&[1]) };
            let expected = &expected[..4.min(limit as usize)];
            assert_eq!(sources(&store, &request).await, full(expected), "{pivot}, {limit}");
            assert_eq!(locate(&store, &request).await[0].total, 4);
        }
    }
}

/// Offline peers do not use up the limit.
pub async fn the_limit_is_of_sources_online(store: Store) {
    alice_with_sources(&store, &[10, 20, 30, 40]).await;
    for number in [10, 30] {
        assert!(ok(store.peer_leaves(&peer_id(number)).await));
    }
    let request = LocateRequest { pivot: peer_id(30), limit: 2, ..request(&[1]) };
    assert_eq!(sources(&store, &request).await, full(&[40, 20]));
}

/// A partial source is one among the others until its time; a full source is full whatever else was noted.
pub async fn partial_sources_last_until_their_time(store: Store) {
    alice_with_sources(&store, &[10, 30]).await;
    for number in [20, 30] {
        if number == 20 {
            add_peer(&store, number, "alice").await;
        }
        assert!(holds_part(&store, "alice", number, 1, 200).await);
    }
    let three = [(10, SourceKind::Full), (20, SourceKind::Partial), (30, SourceKind::Full)];
    for now in [0, 199] {
        let request = LocateRequest { now: at(now), ..request(&[1]) };
        assert_eq!(sources(&store, &request).await, three, "at {now}");
        assert_eq!(locate(&store, &request).await[0].total, 2, "partial sources do not count");
    }
    let over = LocateRequest { now: at(200), ..request(&[1]) };
    assert_eq!(sources(&store, &over).await, full(&[10, 30]));
    assert!(holds_part(&store, "alice", 20, 1, 201).await);
    assert_eq!(sources(&store, &over).await, three);
    assert!(holds_part(&store, "alice", 20, 1, 150).await);
    assert_eq!(sources(&store, &over).await, full(&[10, 30]), "what was noted last holds");
}

/// A partial source must be online and have an address, as any other; in pages it has its place by id.
pub async fn partial_sources_can_be_reached(store: Store) {
    alice_with_sources(&store, &[10]).await;
    let nowhere = Peer { addresses: Vec::new(), ..peer(20, "alice") };
    add_this_peer(&store, &nowhere).await;
    let silent = Peer { last_seen: Some(at(50)), ..peer(30, "alice") };
    add_this_peer(&store, &silent).await;
    add_peer(&store, 5, "alice").await;
    for number in [5, 20, 30] {
        assert!(holds_part(&store, "alice", number, 1, 200).await);
    }
    let both = [(5, SourceKind::Partial), (10, SourceKind::Full)];
    assert_eq!(sources(&store, &request(&[1])).await, both);
    let one = LocateRequest { limit: 1, pivot: peer_id(11), ..request(&[1]) };
    assert_eq!(sources(&store, &one).await, both[..1]);
}

/// A partial source alone makes no content known.
pub async fn a_partial_source_alone_is_nothing(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    assert!(holds_part(&store, "alice", 1, 1, 200).await);
    assert_eq!(locate(&store, &request(&[1])).await, []);
    let all = viewer("alice", &[]);
    assert_eq!(ok(store.content(&all, &content(1), at(0), 9).await), []);
    assert_eq!(hits(&store, &all, &search("")).await, []);
}

/// Only its owner notes and removes what a peer holds.
pub async fn only_its_owner_notes_a_partial_source(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    let (alice, bob, id) = (user("alice"), user("bob"), peer_id(1));
    assert!(!holds_part(&store, "bob", 1, 1, 200).await);
    assert!(!holds_part(&store, "alice", 9, 1, 200).await);
    assert!(!ok(store.remove_partial_source(&alice, &id, &content(1)).await));
    assert!(holds_part(&store, "alice", 1, 1, 200).await);
    assert!(holds_part(&store, "alice", 1, 1, 300).await);
    assert!(!ok(store.remove_partial_source(&bob, &id, &content(1)).await));
    assert!(!ok(store.remove_partial_source(&alice, &peer_id(2), &content(1)).await));
    assert!(!ok(store.remove_partial_source(&alice, &id, &content(2)).await));
    assert!(ok(store.remove_partial_source(&alice, &id, &content(1)).await));
    assert!(!ok(store.remove_partial_source(&alice, &id, &content(1)).await));
}
