//! The stores of an index, at the size of a large community: publishing, searching, heartbeats, sessions.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use p2pshare_benches::{is_smoke_run, median};
use p2pshare_core::{
    api::{CatalogChange, Entry, Kind, Sort, Visibility},
    auth::{SessionToken, TokenHash, Verifier},
    backend::{memory::MemoryStore, mongodb::MongoStore, sqlite::SqliteStore},
    content::ContentId,
    identity::{PeerAddr, PeerId, Username},
    index::{
        model::{Peer, Session, User, Viewer},
        search::{Filter, Query, Search},
        store::IndexStore,
    },
    path::SharePath,
    testing::mongod::ReplicaSet,
    time::Timestamp,
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Entries of a batch, as peers send them.
const BATCH: usize = 1000;

/// Different words in names; a name has four of them.
const WORDS: usize = 5000;

/// The time, for everything.
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[tokio::main]
async fn main() {
    let (entries, rounds) = if is_smoke_run() { (2_000, 5) } else { (200_000, 40) };
    println!("{entries} files in batches of {BATCH}; medians of {rounds} calls\n");
    println!(
        "{:>8}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}",
        "store",
        "publish",
        "two words",
        "one word",
        "prefix a",
        "by size",
        "no audio",
        "no new audio",
        "heartbeats",
        "session"
    );

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sqlite =
        SqliteStore::open(&folder.path().join("index.sqlite")).expect("the store can be opened");
    let mut stores: Vec<Arc<dyn IndexStore>> = vec![Arc::new(MemoryStore::new()), Arc::new(sqlite)];
    // One mongod; without any, the others are measured.
    let mongod = ReplicaSet::start(1, 1000);
    if let Some(mongod) = &mongod {
        let uri = mongod.database("bench").parse().expect("scripts/mongod prints a URI");
        stores.push(Arc::new(done(MongoStore::open(&uri).await)));
    }
    for store in stores {
        measure(&*store, entries, rounds).await;
    }
}

async fn measure(store: &dyn IndexStore, entries: usize, rounds: usize) {
    let mut rng = StdRng::seed_from_u64(7);
    let words: Vec<String> = (0..WORDS).map(|_| word(&mut rng)).collect();
    let owner: Username = "alice".parse().expect("it is a name");
    let verifier = Verifier::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")
        .expect("it is a PHC string");
    let user = User {
        name: owner.clone(),
        verifier: verifier.clone(),
        operator: false,
        disabled: false,
        created_at: NOW,
    };
    done(store.insert_user(&user, false).await);
    let peers: Vec<PeerId> = (0..20).map(|_| PeerId::from_bytes(rng.random())).collect();
    for id in &peers {
        let addresses: Vec<PeerAddr> = "tcp://127.0.0.1:7401".parse().into_iter().collect();
        let peer = Peer {
            id: *id,
            owner: owner.clone(),
            addresses,
            announced_at: NOW,
            last_seen: Some(NOW),
        };
        done(store.announce(&peer).await);
    }

    let begun = Instant::now();
    for batch in 0..entries / BATCH {
        let changes: Vec<_> =
            (0..BATCH).map(|_| CatalogChange::Publish(entry(&mut rng, &words))).collect();
        done(store.publish(&owner, &peers[batch % peers.len()], &changes, at(batch)).await);
    }
    let last = at((entries / BATCH).saturating_sub(1));
    let published = entries as f64 / begun.elapsed().as_secs_f64();

    let viewer = Viewer { user: "bob".parse().expect("it is a name"), groups: Vec::new() };
    let mut searches = [Duration::ZERO; 6];
    for (kind, median_of) in searches.iter_mut().enumerate() {
        let mut measured = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let (one, two) = (&words[common(&mut rng)], &words[common(&mut rng)]);
            let (text, sort) = match kind {
                0 => (format!("{one} {two}"), Sort::Relevance),
                1 => (one.clone(), Sort::Relevance),
                2 => ("a".to_owned(), Sort::Relevance),
                3 => (one.clone(), Sort::Largest),
                // Nothing is found, in all and in what is new: what following a search costs.
                _ => (String::new(), Sort::Newest),
            };
            let filter = Filter {
                kind: (kind > 3).then_some(Kind::Audio),
                since: (kind > 4).then_some(last),
                ..Filter::default()
            };
            let search = Search {
                query: Query::parse(&text).expect("it is a query"),
                filter,
                sort,
                after: None,
                limit: 25,
                online_since: NOW,
            };
            let begun = Instant::now();
            done(store.search(&viewer, &search).await);
            measured.push(begun.elapsed());
        }
        *median_of = median(&mut measured);
    }

    let heartbeats = heartbeats(store, &peers, rounds).await;
    let session = session(store, &owner, &verifier, rounds).await;
    let [two, one, prefix, size, none, none_new] = searches;
    println!(
        "{:>8}  {published:>10.0}/s  {two:>12.2?}  {one:>12.2?}  {prefix:>12.2?}  {size:>12.2?}  {none:>12.2?}  \
         {none_new:>12.2?}  {heartbeats:>12.2?}  {session:>12.2?}",
        store.kind()
    );
}

/// When a batch is published.
fn at(batch: usize) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(batch as u64))
}

/// One write with the heartbeats of all peers.
async fn heartbeats(store: &dyn IndexStore, peers: &[PeerId], rounds: usize) -> Duration {
    let mut measured = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let at = NOW.saturating_add(Duration::from_secs(round as u64));
        let seen: Vec<_> = peers.iter().map(|peer| (*peer, at)).collect();
        let begun = Instant::now();
        done(store.touch_peers(&seen).await);
        measured.push(begun.elapsed());
    }
    median(&mut measured)
}

/// Looking up the session of a token, as every request does.
async fn session(
    store: &dyn IndexStore,
    user: &Username,
    verifier: &Verifier,
    rounds: usize,
) -> Duration {
    let mut tokens: Vec<TokenHash> = Vec::new();
    for _ in 0..16 {
        let token = SessionToken::generate().hash();
        let expires_at = NOW.saturating_add(Duration::from_secs(3600));
        let session = Session { token, user: user.clone(), created_at: NOW, expires_at };
        done(store.open_session(&session, verifier, 100).await);
        tokens.push(token);
    }
    let mut measured = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let begun = Instant::now();
        done(store.session(&tokens[round % tokens.len()], NOW).await);
        measured.push(begun.elapsed());
    }
    median(&mut measured)
}

fn entry(rng: &mut StdRng, words: &[String]) -> Entry {
    let mut pick = || words[common(rng)].as_str();
    let path = format!("{}/{}/{} {}.mkv", pick(), pick(), pick(), pick());
    let content: [u8; 32] = rng.random();
    Entry {
        path: SharePath::parse(&path).expect("it is a path"),
        content: ContentId::from_bytes(content),
        size: rng.random_range(0..1 << 32),
        visibility: Visibility::Public,
    }
}

/// The place of a word: few are common and many are rare, as in names that people give.
fn common(rng: &mut StdRng) -> usize {
    let even: f64 = rng.random();
    ((WORDS as f64).powf(even) as usize).saturating_sub(1).min(WORDS - 1)
}

fn word(rng: &mut impl Rng) -> String {
    let letters = rng.random_range(3..10);
    (0..letters).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect()
}

fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("the store failed: {error}"))
}
