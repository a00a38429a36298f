//! A community moves from one store to another and nothing changes.
#![cfg(feature = "sqlite")]

use std::sync::Arc;

use p2pshare_core::{
    api::{CatalogChange, Entry, Visibility},
    auth::Verifier,
    backend::{memory::MemoryStore, sqlite::SqliteStore},
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        copy::{Survey, check, copy, survey},
        model::{Peer, User},
        store::{CatalogStore, IndexStore, PeerStore, UserStore},
    },
    path::SharePath,
    testing::store::{
        block_on,
        history::{History, compare, histories},
    },
    time::Timestamp,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::sync::Notify;

fn sqlite() -> SqliteStore {
    SqliteStore::open_in_memory().expect("memory is there")
}

async fn surveyed(store: &dyn IndexStore) -> Survey {
    survey(store, &|_| ()).await.expect("the store can be read")
}

async fn copied(from: &dyn IndexStore, to: &dyn IndexStore) {
    copy(from, to, &|_| ()).await.expect("the store can be copied");
    assert_eq!(surveyed(to).await, surveyed(from).await);
    let wrong = check(to, &|_| ()).await.expect("the store can be read");
    assert_eq!(wrong, Vec::<String>::new());
    // Whatever is asked, both answer alike.
    let nothing = History(Vec::new());
    compare(from, to, &nothing).await.unwrap_or_else(|difference| panic!("{difference}"));
}

/// A store that has been through random histories, one after another.
async fn lived(runner: &mut TestRunner, number: usize) -> MemoryStore {
    let (store, same) = (MemoryStore::new(), MemoryStore::new());
    for _ in 0..number {
        let tree = histories().new_tree(runner).expect("histories can be made");
        compare(&store, &same, &tree.current()).await.expect("a store is like itself");
    }
    store
}

#[test]
fn whatever_a_store_has_been_through_is_copied() {
    let mut runner = TestRunner::deterministic();
    block_on(async {
        let mut entries = 0;
        for number in 1..12 {
            let store = lived(&mut runner, number % 4 + 1).await;
            let other = sqlite();
            copied(&store, &other).await;
            copied(&other, &MemoryStore::new()).await;
            // Again changes nothing.
            copied(&store, &other).await;
            entries += surveyed(&other).await.entries;
        }
        assert!(entries > 10, "too little was there to tell: {entries}");
    });
}

#[cfg(feature = "mongodb")]
#[test]
fn a_community_moves_to_mongodb_and_back() {
    use p2pshare_core::{backend::mongodb::MongoStore, testing::mongod::ReplicaSet};

    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    let mut runner = TestRunner::deterministic();
    block_on(async {
        for number in 1..4 {
            let store = lived(&mut runner, 2 * number).await;
            let uri = set.database(&format!("copy{number}"));
            let uri = uri.parse().expect("scripts/mongod prints a URI");
            let mongo = MongoStore::open(&uri).await.expect("a new database opens");
            copied(&store, &mongo).await;
            copied(&mongo, &sqlite()).await;
        }
    });
}

#[test]
fn a_copy_that_was_broken_off_goes_on() {
    const ENTRIES: u64 = 3000;

    block_on(async {
        let from = MemoryStore::new();
        let owner = Username::parse("alice").expect("it is a name");
        let user = User {
            name: owner.clone(),
            verifier: Verifier::parse("$plain$v=1$c2FsdA$YWxpY2U").expect("it is a verifier"),
            operator: true,
            disabled: false,
            created_at: Timestamp::EPOCH,
        };
        assert!(from.insert_user(&user, true).await.expect("the store answers"));
        let peer = Peer {
            id: PeerId::from_bytes([1; 32]),
            owner: owner.clone(),
            addresses: Vec::new(),
            announced_at: Timestamp::EPOCH,
            last_seen: None,
        };
        from.announce(&peer).await.expect("the store answers");
        let file = |number| {
            let path = format!("folder/file {number:05}");
            CatalogChange::Publish(Entry {
                path: SharePath::parse(&path).expect("it is a path"),
                content: ContentId::of(path.as_bytes()),
                size: number,
                visibility: Visibility::Unlisted,
            })
        };
        let changes: Vec<_> = (0..ENTRIES).map(file).collect();
        from.publish(&owner, &peer.id, &changes, Timestamp::EPOCH).await.expect("it is published");

        let to = sqlite();
        let begun = Arc::new(Notify::new());
        let tell = |_| begun.notify_one();
        tokio::select! {
            biased;
            () = begun.notified() => {}
            _ = copy(&from, &to, &tell) => {}
        }
        let part = to.count_entries(&peer.id).await.expect("the store answers");
        assert!(part > 0 && part < ENTRIES, "{part} entries were copied");
        copied(&from, &to).await;
        assert_eq!(surveyed(&to).await.entries, ENTRIES);
    });
}

#[test]
fn another_community_is_not_copied_over() {
    block_on(async {
        let user = |verifier: &str| User {
            name: Username::parse("alice").expect("it is a name"),
            verifier: Verifier::parse(verifier).expect("it is a verifier"),
            operator: false,
            disabled: false,
            created_at: Timestamp::EPOCH,
        };
        let (from, to) = (MemoryStore::new(), sqlite());
        let one = user("$plain$v=1$c2FsdA$YWxpY2U");
        let other = user("$plain$v=1$c2FsdA$YWxpY2V");
        assert!(from.insert_user(&one, false).await.expect("the store answers"));
        assert!(to.insert_user(&other, false).await.expect("the store answers"));
        let error = copy(&from, &to, &|_| ()).await.expect_err("alice is another");
        assert!(error.to_string().contains("another user of the same name"), "{error}");
        assert_eq!(to.user(&other.name).await.expect("the store answers"), Some(other));
    });
}
