//! Laws of [`CatalogStore::search`](crate::index::store::CatalogStore::search): what is found.

use std::collections::BTreeSet;

use super::fixture::*;
use crate::{
    api::{
        CatalogChange::{Publish, Withdraw},
        Entry, Kind,
    },
    index::search::{Filter, Search},
};

/// The contents that are found, in order of their number.
async fn found_sorted(store: &Store, search: &Search) -> Vec<u8> {
    let mut numbers = found(store, &viewer("bob", &[]), search).await;
    numbers.sort_unstable();
    numbers
}

/// Every word of the query is the beginning of a word anywhere in the path; words are cut alike on both sides.
pub async fn every_word_begins_a_word_of_the_path(store: Store) {
    let texts = [
        "Music/John Coltrane/Blue Train (1957)/01 Blue Train.flac",
        "Music/John Coltrane/Giant Steps/03 Countdown.flac",
        "Videos/trainspotting_1996-x264.mkv",
        "notes.txt",
    ];
    alice_shares(&store, &texts).await;
    for (words, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("coltrane", &[1, 2]),
        ("col", &[1, 2]),
        ("trane", &[]),
        ("train", &[1, 3]),
        ("train blue", &[1]),
        ("BLUE jOhN", &[1]),
        ("blue-train", &[1]),
        ("blue/train.flac", &[1]),
        ("19", &[1, 3]),
        ("1957 1996", &[]),
        ("x264", &[3]),
        ("264", &[3]),
        ("mus 03", &[2]),
        ("mus 3", &[]),
        ("txt", &[4]),
        ("nothing", &[]),
        ("... --- ###", &[1, 2, 3, 4]),
    ] {
        assert_eq!(found_sorted(&store, &search(words)).await, expected, "{words:?}");
    }
}

/// Upper case, diacritics and compatibility forms do not matter, in any script.
pub async fn case_and_diacritics_do_not_matter(store: Store) {
    let texts = [
        "Björk/Jóga.ogg",
        "Straße nach Ὀδυσσεύς.txt",
        "ＦＵＬＬ/ﬁnal ②.doc",
        "Привет/Ёлка.txt",
        "日本語/日本.txt",
    ];
    alice_shares(&store, &texts).await;
    for (words, expected) in [
        ("bjork joga", &[1][..]),
        ("BJÖRK", &[1]),
        ("bjo\u{308}rk", &[1]),
        ("STRASSE", &[2]),
        ("straß", &[2]),
        ("οδυσσευσ", &[2]),
        ("ΟΔΥΣΣΕΎΣ", &[2]),
        ("full final 2", &[3]),
        ("ﬀ", &[]),
        ("привет елка", &[4]),
        ("日本", &[5]),
        ("本", &[]),
    ] {
        assert_eq!(found_sorted(&store, &search(words)).await, expected, "{words:?}");
    }
}

/// What has a meaning in some store's query language has none here.
pub async fn no_word_is_an_operator(store: Store) {
    alice_shares(&store, &["and/or.txt", "near not.txt", "50% off_all.txt", "plain.txt"]).await;
    for (words, expected) in [
        ("and OR", &[1][..]),
        ("NOT near", &[2]),
        ("near(plain not)", &[]),
        ("%", &[1, 2, 3, 4]),
        ("of_al", &[3]),
        ("\"plain", &[4]),
        ("pla*", &[4]),
        ("plain'; --", &[4]),
        ("path:plain", &[]),
        ("^plain", &[4]),
        (".*", &[1, 2, 3, 4]),
    ] {
        assert_eq!(found_sorted(&store, &search(words)).await, expected, "{words:?}");
    }
}

/// An excluded term takes away what all its words match.
pub async fn excluded_terms_take_away(store: Store) {
    alice_shares(&store, &["hunter live 1997.ogg", "hunter 1997.ogg", "other.ogg"]).await;
    for (words, expected) in [
        ("hunter -live", &[2][..]),
        ("-live", &[2, 3]),
        ("-hunter -other", &[]),
        ("-live1997", &[2, 3]),
        ("-live1998", &[1, 2, 3]),
        ("-lives", &[1, 2, 3]),
        ("hunter -hunt", &[]),
        ("-LÍV", &[2, 3]),
        ("-", &[1, 2, 3]),
    ] {
        assert_eq!(found_sorted(&store, &search(words)).await, expected, "{words:?}");
    }
}

/// The filters narrow what is found, each by itself and all together.
pub async fn filters_narrow(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    let sized = |text, number| Entry { size: 10 * u64::from(number), ..entry(text, number) };
    let first = [sized("a.FLAC", 1), sized("a.mp3", 2), sized("a.tar.GZ", 3), sized("a", 4)];
    share(&store, "alice", 1, &first).await;
    share(&store, "bob", 2, &[sized(".flac", 5), sized("a.xyz", 6), sized("a.png", 7)]).await;
    let none = Filter::default;
    let extensions = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
    for (filter, expected) in [
        (none(), &[1, 2, 3, 4, 5, 6, 7][..]),
        (Filter { extensions: extensions(&["flac"]), ..none() }, &[1]),
        (Filter { extensions: extensions(&["mp3", "gz", "no"]), ..none() }, &[2, 3]),
        (Filter { extensions: extensions(&["tar.gz"]), ..none() }, &[]),
        (Filter { kind: Some(Kind::Audio), ..none() }, &[1, 2]),
        (Filter { kind: Some(Kind::Archive), ..none() }, &[3]),
        (Filter { kind: Some(Kind::Image), ..none() }, &[7]),
        (Filter { kind: Some(Kind::Video), ..none() }, &[]),
        (Filter { kind: Some(Kind::Other), ..none() }, &[4, 5, 6]),
        (Filter { min_size: Some(60), ..none() }, &[6, 7]),
        (Filter { max_size: Some(20), ..none() }, &[1, 2]),
        (Filter { min_size: Some(20), max_size: Some(20), ..none() }, &[2]),
        (Filter { min_size: Some(30), max_size: Some(20), ..none() }, &[]),
        (Filter { max_size: Some(u64::MAX), ..none() }, &[1, 2, 3, 4, 5, 6, 7]),
        (Filter { min_size: Some(u64::MAX), ..none() }, &[]),
        (Filter { owner: Some(user("bob")), ..none() }, &[5, 6, 7]),
        (Filter { owner: Some(user("nobody")), ..none() }, &[]),
        (
            Filter {
                extensions: extensions(&["flac", "mp3", "png"]),
                kind: Some(Kind::Audio),
                min_size: Some(15),
                max_size: Some(1000),
                owner: Some(user("alice")),
                since: Some(at(0)),
            },
            &[2],
        ),
    ] {
        let filtered = Search { filter: filter.clone(), ..search("") };
        assert_eq!(found_sorted(&store, &filtered).await, expected, "{filter:?}");
    }
    let both = Search { filter: Filter { owner: Some(user("alice")), ..none() }, ..search("gz") };
    assert_eq!(found_sorted(&store, &both).await, [3], "words and filters hold together");
}

/// What was published before a time is not found by whoever asks for what is new, nor are its names told.
pub async fn what_is_older_is_left_out(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    let publish_at = async |owner, peer, text, number, seconds| {
        publish(&store, owner, peer, &[Publish(entry(text, number))], seconds).await;
    };
    publish_at("alice", 1, "old.txt", 1, 100).await;
    publish_at("alice", 1, "both old.txt", 2, 100).await;
    publish_at("bob", 2, "both new.txt", 2, 200).await;
    publish_at("bob", 2, "new.txt", 3, 300).await;
    // Publishing the same again makes nothing new, another content of the name does.
    publish_at("alice", 1, "was old.txt", 4, 100).await;
    publish_at("alice", 1, "was old.txt", 5, 300).await;
    for (since, expected) in [
        (i64::MIN / 1000, &[1, 2, 3, 5][..]),
        (100, &[1, 2, 3, 5]),
        (101, &[2, 3, 5]),
        (200, &[2, 3, 5]),
        (300, &[3, 5]),
        (301, &[]),
        (i64::MAX / 1000, &[]),
    ] {
        for sort in SORTS {
            let filter = Filter { since: Some(at(since)), ..Filter::default() };
            for words in ["", "txt", "t"] {
                let search = Search { filter: filter.clone(), sort, ..search(words) };
                assert_eq!(found_sorted(&store, &search).await, expected, "{since} {sort:?}");
            }
        }
    }
    let filter = Filter { since: Some(at(101)), ..Filter::default() };
    let found = hits(&store, &viewer("bob", &[]), &Search { filter, ..search("both") }).await;
    let [hit] = &found[..] else { panic!("one content has both names: {found:?}") };
    assert_eq!(
        hit.names.iter().map(|name| name.path.as_str()).collect::<Vec<_>>(),
        ["both new.txt"]
    );
    assert_eq!((hit.published_at, hit.sources), (at(200), 2), "who has it counts all the same");
}

/// The few that are new among many are paged in every order as they are found at once.
pub async fn what_is_new_is_paged_in_every_order(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    let sized = |number: u8, text: &str| {
        Publish(Entry { size: u64::from(number.wrapping_mul(37)), ..entry(text, number) })
    };
    let old: Vec<_> = (100..=250).map(|number| sized(number, &format!("{number}.txt"))).collect();
    publish(&store, "alice", 1, &old, 100).await;
    let new = 1..=15;
    for number in new.clone() {
        // The later the longer, but for some.
        let words =
            "and ".repeat(usize::from(number % 7)) + &"more words ".repeat(usize::from(number / 7));
        publish(
            &store,
            "alice",
            1,
            &[sized(number, &format!("{words}{number}.txt"))],
            200 + i64::from(number),
        )
        .await;
    }
    let viewer = viewer("bob", &[]);
    for sort in SORTS {
        for words in ["", "txt"] {
            let filter = Filter { since: Some(at(201)), ..Filter::default() };
            let whole = Search { filter, sort, ..search(words) };
            let all = found(&store, &viewer, &whole).await;
            assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), new.clone().collect());
            let mut page = Search { limit: 2, ..whole };
            let mut paged = Vec::new();
            loop {
                paged.extend(found(&store, &viewer, &page).await);
                page.after = ok(store.search(&viewer, &page).await).next;
                if page.after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, all, "{sort:?} {words:?}");
        }
    }
}

/// What is withdrawn or replaced is not found by what it was.
pub async fn a_search_finds_what_is_there_now(store: Store) {
    alice_shares(&store, &["one", "two"]).await;
    let changes = [Withdraw(path("one")), Publish(entry("two", 9)), Publish(entry("three", 1))];
    publish(&store, "alice", 1, &changes, 200).await;
    assert_eq!(found_sorted(&store, &search("one")).await, [0_u8; 0]);
    assert_eq!(found_sorted(&store, &search("two")).await, [9]);
    assert_eq!(found_sorted(&store, &search("three")).await, [1]);
    assert_eq!(found_sorted(&store, &search("")).await, [1, 9]);
}
