//! Searches for what is common, which are read in the order of an index: the answers are those of the memory store.
#![cfg(feature = "mongodb")]

use std::time::Duration;

use p2pshare_core::{
    api::{CatalogChange, Entry, Sort, Visibility},
    auth::Verifier,
    backend::{memory::MemoryStore, mongodb::MongoStore},
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        model::{GroupRecord, Peer, User, Viewer},
        search::{Filter, Query, Search},
        store::IndexStore,
    },
    path::SharePath,
    testing::{mongod::ReplicaSet, store::block_on},
    time::Timestamp,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// More than a word can have before it counts as common.
const BATCHES: u64 = 16;
const BATCH: usize = 1000;

/// All begin alike; the first ones are in most names.
const WORDS: [&str; 12] = [
    "blue", "bluebird", "blues", "train", "blue", "trains", "coltrane", "b", "giant", "steps", "4",
    "rare",
];

#[test]
fn common_words_are_found_as_in_memory() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    block_on(async {
        let uri = set.database("search").parse().expect("scripts/mongod prints a URI");
        let mongo = MongoStore::open(&uri).await.expect("a new database opens");
        let memory = MemoryStore::new();
        fill(&memory).await;
        fill(&mongo).await;
        let viewers = [("bob", &["club"][..]), ("cy", &[])];
        let words =
            ["blue", "b", "blue train", "blu tra -gia", "rare", "rare blue", "steps giant", ""];
        let sorts = [
            Sort::Relevance,
            Sort::Largest,
            Sort::Smallest,
            Sort::Newest,
            Sort::Oldest,
            Sort::Sources,
        ];
        for (turn, (user, groups)) in viewers.into_iter().enumerate() {
            let groups = groups.iter().map(|group| group.parse().expect("it is a name")).collect();
            let viewer = Viewer { user: name(user), groups };
            for (number, words) in words.into_iter().enumerate() {
                // Each of the two by every other order, so that every order meets every word.
                for sort in sorts.into_iter().skip((number + turn) % 2).step_by(2) {
                    same(&memory, &mongo, &viewer, words, sort, None).await;
                }
            }
            // What is new of them, which is as common.
            let since = Some(NOW.saturating_add(Duration::from_secs(BATCHES / 4)));
            for sort in sorts.into_iter().skip(turn).step_by(2) {
                for words in ["blue train", ""] {
                    same(&memory, &mongo, &viewer, words, sort, since).await;
                }
            }
        }
    });
}

/// Compares the first pages of a search.
async fn same(
    memory: &MemoryStore,
    mongo: &MongoStore,
    viewer: &Viewer,
    words: &str,
    sort: Sort,
    since: Option<Timestamp>,
) {
    let mut search = Search {
        query: Query::parse(words).expect("it is a query"),
        filter: Filter { since, ..Filter::default() },
        sort,
        after: None,
        limit: 30,
        online_since: NOW,
    };
    for page in 0..3 {
        let stores: [&dyn IndexStore; 2] = [memory, mongo];
        let [expected, found] = stores.map(|store| store.search(viewer, &search));
        let expected = expected.await.expect("memory answers");
        let found = found.await.expect("the store answers");
        let user = &viewer.user;
        assert!(
            found == expected,
            "{words:?} by {sort:?} since {since:?} for {user}, page {page}:\n{expected:?}\n{found:?}"
        );
        search.after = expected.next;
        if search.after.is_none() {
            break;
        }
    }
}

fn name(text: &str) -> Username {
    text.parse().expect("it is a name")
}

/// The same entries each time.
async fn fill(store: &dyn IndexStore) {
    let mut rng = StdRng::seed_from_u64(5);
    let owners = [name("ann"), name("bob")];
    for owner in &owners {
        let user = User {
            name: owner.clone(),
            verifier: Verifier::parse("$plain$v=1$c2FsdA$YWxpY2U").expect("it is a verifier"),
            operator: false,
            disabled: false,
            created_at: NOW,
        };
        assert!(store.insert_user(&user, false).await.expect("the store answers"));
    }
    let club = "club".parse().expect("it is a name");
    let group = GroupRecord { name: club, owner: name("ann"), created_at: NOW };
    assert!(store.insert_group(&group).await.expect("the store answers"));
    assert!(store.add_member(&group.name, &name("bob")).await.expect("the store answers"));
    for number in 0..4_u8 {
        let peer = Peer {
            id: PeerId::from_bytes([number; 32]),
            owner: owners[usize::from(number % 2)].clone(),
            addresses: Vec::new(),
            announced_at: NOW,
            last_seen: (number != 3).then_some(NOW),
        };
        store.announce(&peer).await.expect("the store answers");
    }
    for batch in 0..BATCHES {
        let changes: Vec<_> = (0..BATCH).map(|_| entry(&mut rng, &group)).collect();
        let number = u8::try_from(batch % 4).expect("it is small");
        let (owner, peer) = (&owners[usize::from(number % 2)], PeerId::from_bytes([number; 32]));
        let at = NOW.saturating_add(Duration::from_secs(batch / 2));
        let published = store.publish(owner, &peer, &changes, at).await.expect("the store answers");
        assert!(published.is_some());
    }
}

fn entry(rng: &mut StdRng, group: &GroupRecord) -> CatalogChange {
    let mut word = || {
        let few: f64 = rng.random::<f64>() * rng.random::<f64>();
        WORDS[(few * WORDS.len() as f64) as usize]
    };
    let path = format!("{}/{} {} {}", word(), word(), word(), word());
    let number: u32 = rng.random_range(0..50_000);
    let content = ContentId::of(&rng.random_range(0..4000_u32).to_be_bytes());
    let visibility = match number % 10 {
        0 => Visibility::Unlisted,
        1 => Visibility::Group(group.name.clone()),
        _ => Visibility::Public,
    };
    CatalogChange::Publish(Entry {
        path: SharePath::parse(&format!("{path} {number}.flac")).expect("it is a path"),
        content,
        size: rng.random_range(1..4),
        visibility,
    })
}
