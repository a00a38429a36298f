//! What the MongoDB store does when the primary is killed.
#![cfg(feature = "mongodb")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use p2pshare_core::{
    api::{CatalogChange, Entry, Visibility},
    auth::Verifier,
    backend::{
        memory::MemoryStore,
        mongodb::{MongoStore, MongoUri},
    },
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        model::{Peer, User},
        store::{CatalogStore, IndexStore, PeerStore, UserStore},
    },
    path::SharePath,
    testing::{
        mongod::ReplicaSet,
        store::{
            block_on,
            history::{History, compare, histories},
        },
    },
    time::Timestamp,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::{runtime::Handle, sync::watch};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// Steps of a history between two kills, and how often the primary is killed.
const STEPS: usize = 12;
const KILLS: usize = 4;

const WRITERS: u8 = 4;

async fn open(set: &ReplicaSet) -> MongoStore {
    let uri: MongoUri = set.database("failover").parse().expect("scripts/mongod prints a URI");
    MongoStore::open(&uri).await.expect("a new database opens")
}

/// Kills the primary and starts it again when another one is there.
fn kill_primary(set: &mut ReplicaSet) {
    let primary = set.wait_for_primary();
    set.kill(primary);
    set.wait_for_primary();
    set.restart(primary);
}

/// What was acknowledged is there, and what was tried again is there once: or an answer would be another.
#[test]
fn a_history_goes_on_while_the_primary_is_killed() {
    let Some(mut set) = ReplicaSet::start(3, 1000) else { return };
    let mut runner = TestRunner::deterministic();
    let mut steps = Vec::new();
    while steps.len() < STEPS * KILLS {
        let tree = histories().new_tree(&mut runner).expect("histories can be made");
        let History(more) = tree.current();
        steps.extend(more);
    }
    let memory = MemoryStore::new();
    block_on(async {
        let mongo = open(&set).await;
        for (number, some) in steps.chunks(STEPS).take(KILLS).enumerate() {
            let kill = tokio::task::spawn_blocking(move || {
                kill_primary(&mut set);
                set
            });
            let compared = compare(&memory, &mongo, &History(some.to_vec())).await;
            set = kill.await.expect("the primary was killed and started");
            if let Err(difference) = compared {
                panic!("kill {number}: {difference}");
            }
        }
        let nothing = History(Vec::new());
        compare(&memory, &mongo, &nothing)
            .await
            .unwrap_or_else(|difference| panic!("{difference}"));
    });
}

/// Four writers, each with a peer of its own.
#[test]
fn what_was_acknowledged_is_there_after_the_primary_was_killed() {
    let Some(mut set) = ReplicaSet::start(3, 1000) else { return };
    block_on(async {
        let store = open(&set).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (done, mut rounds) = watch::channel(0_u64);
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                tokio::spawn(write(store.clone(), number, Arc::clone(&stop), done.clone()))
            })
            .collect();
        // When no writer is left the wait ends.
        drop(done);
        let runtime = Handle::current();
        let set = tokio::task::spawn_blocking(move || {
            // So much is written before each kill and after the last, however slow the machine is.
            let mut wait_for = |more: u64| {
                let goal = *rounds.borrow() + more;
                let written = runtime.block_on(rounds.wait_for(|rounds| *rounds >= goal));
                written.expect("there are writers");
            };
            for _ in 0..3 {
                wait_for(8);
                kill_primary(&mut set);
            }
            wait_for(8);
            set
        });
        let set = set.await.expect("the primary was killed and started");
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = 0;
        for (writer, number) in writers.into_iter().zip(0..) {
            let written = writer.await.expect("no writer panics");
            check(&store, number, written).await;
            acknowledged += written;
        }
        // Another process sees the same.
        let other = open(&set).await;
        let counts = store.counts(NOW, NOW).await.expect("the store answers");
        assert_eq!(other.counts(NOW, NOW).await.expect("the store answers"), counts);
        assert_eq!(counts.entries, 2 * acknowledged);
        assert_eq!(counts.bytes, 20 * acknowledged);
        assert_eq!(counts.users, u64::from(WRITERS) + acknowledged);
    });
}

fn name(text: &str) -> Username {
    text.parse().expect("it is a name")
}

fn account(name: &Username) -> User {
    User {
        name: name.clone(),
        verifier: Verifier::parse("$plain$v=1$c2FsdA$YWxpY2U").expect("it is a verifier"),
        operator: false,
        disabled: false,
        created_at: NOW,
    }
}

fn batch(number: u8, round: u64) -> Vec<CatalogChange> {
    let file = |file: u8| {
        let path = format!("writer {number}/round {round}/file {file}");
        CatalogChange::Publish(Entry {
            path: SharePath::parse(&path).expect("it is a path"),
            content: ContentId::of(path.as_bytes()),
            size: 10,
            visibility: Visibility::Public,
        })
    };
    vec![file(1), file(2)]
}

/// Writes until it is told to stop; says how many rounds were acknowledged.
async fn write(
    store: MongoStore,
    number: u8,
    stop: Arc<AtomicBool>,
    done: watch::Sender<u64>,
) -> u64 {
    let owner = name(&format!("writer{number}"));
    assert!(store.insert_user(&account(&owner), false).await.expect("the account is made"));
    let peer = Peer {
        id: PeerId::from_bytes([number; 32]),
        owner: owner.clone(),
        addresses: Vec::new(),
        announced_at: NOW,
        last_seen: Some(NOW),
    };
    store.announce(&peer).await.expect("the peer is announced");
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let user = account(&name(&format!("user{number}-{round}")));
        // Taken would mean that it was added twice.
        let is_new = store.insert_user(&user, false).await.expect("the account is made");
        assert!(is_new, "{} was added twice", user.name);
        let changes = batch(number, round);
        let published = store.publish(&owner, &peer.id, &changes, NOW).await;
        let published = published.expect("the batch is published").expect("the peer is there");
        assert_eq!((published.added, published.total), (2, 2 * (round + 1)));
        round += 1;
        done.send_modify(|rounds| *rounds += 1);
    }
    round
}

async fn check(store: &MongoStore, number: u8, rounds: u64) {
    let peer = PeerId::from_bytes([number; 32]);
    assert_eq!(store.count_entries(&peer).await.expect("the store answers"), 2 * rounds);
    let entries = store.entries(&peer, None, u32::MAX).await.expect("the store answers");
    let mut found: Vec<_> = entries.into_iter().map(|entry| entry.path).collect();
    let mut expected: Vec<_> = (0..rounds)
        .flat_map(|round| batch(number, round))
        .map(|change| change.path().clone())
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
