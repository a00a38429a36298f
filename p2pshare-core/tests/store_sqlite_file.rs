//! What becomes of the file of a SQLite store: closed, shared, killed, out of space, too new.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use p2pshare_core::{
    api::{CatalogChange, Entry, Sort, Visibility},
    auth::Verifier,
    backend::sqlite::{Database, DatabaseOptions, SqliteStore},
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        model::{PartialSource, Peer, User, Viewer},
        search::{Filter, Query, Search},
        store::{
            CatalogStore, IndexStore, PeerStore, SessionStore, StoreError, StoreResult, UserStore,
        },
    },
    path::SharePath,
    time::Timestamp,
};
use rand::RngExt;
use rusqlite::Connection;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const BATCH: usize = 20;

fn alice() -> Username {
    Username::parse("alice").unwrap()
}

fn verifier() -> Verifier {
    Verifier::parse("$plain$v=1$c2FsdA$YWxpY2U").unwrap()
}

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

async fn add_alice(store: &SqliteStore) {
    add_user(store).await;
    for number in 0..4 {
        let peer = Peer {
            id: peer(number),
            owner: alice(),
            addresses: Vec::new(),
            announced_at: NOW,
            last_seen: Some(NOW),
        };
        store.announce(&peer).await.unwrap();
    }
}

async fn add_user(store: &SqliteStore) {
    let user = User {
        name: alice(),
        verifier: verifier(),
        operator: false,
        disabled: false,
        created_at: NOW,
    };
    assert!(store.insert_user(&user, true).await.unwrap());
}

/// Publishes a batch of files whose names tell which batch it is.
async fn publish(store: &SqliteStore, of: u8, batch: u64) -> StoreResult<()> {
    let file = |number: usize| {
        let path = format!("Round {batch}/of peer {of}/file {number}.txt");
        CatalogChange::Publish(Entry {
            path: SharePath::parse(&path).unwrap(),
            content: ContentId::of(path.as_bytes()),
            size: 10,
            visibility: Visibility::Public,
        })
    };
    let changes: Vec<_> = (0..BATCH).map(file).collect();
    let published = store.publish(&alice(), &peer(of), &changes, NOW).await?;
    assert!(published.is_some());
    Ok(())
}

async fn count_found(store: &SqliteStore, words: &str) -> usize {
    let viewer = Viewer { user: alice(), groups: Vec::new() };
    let search = Search {
        query: Query::parse(words).unwrap(),
        filter: Filter::default(),
        sort: Sort::Relevance,
        after: None,
        limit: u32::MAX,
        online_since: NOW,
    };
    store.search(&viewer, &search).await.unwrap().hits.len()
}

/// Fails unless the file is whole: its pages, its references, the words of every entry and the counters of every peer.
fn check_file(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    let none = |sql: &str| {
        let found = connection.prepare(sql).unwrap().exists([]).unwrap();
        assert!(!found, "{sql}");
    };
    none("PRAGMA foreign_key_check");
    connection
        .execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, search, instance)")
        .unwrap();
    none("SELECT id FROM entries EXCEPT SELECT doc FROM words");
    none("SELECT doc FROM words EXCEPT SELECT id FROM entries");
    none(
        "SELECT id FROM entries e WHERE words <> (SELECT count(*) FROM words w WHERE w.doc = e.id)",
    );
    none(
        "SELECT * FROM peers p WHERE \
         (entries, size_low, size_high) IS NOT (SELECT count(*), \
             coalesce(sum(size & 0xffffffff), 0), coalesce(sum(size >> 32), 0) FROM entries e WHERE e.peer = p.id)",
    );
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/index.db");
    let store = SqliteStore::open(&path).unwrap();
    add_alice(&store).await;
    publish(&store, 1, 7).await.unwrap();
    let counts = store.counts(NOW, NOW).await.unwrap();
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.counts(NOW, NOW).await.unwrap(), counts);
    assert_eq!(counts.entries, BATCH as u64);
    assert_eq!(count_found(&store, "round 7 file -8").await, BATCH - 1);
    let user = store.user(&alice()).await.unwrap().unwrap();
    assert_eq!(user.verifier, verifier());
    assert!(store.delete_user(&alice()).await.unwrap());
    drop(store);
    check_file(&path);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.counts(NOW, NOW).await.unwrap().entries, 0);
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    drop(SqliteStore::open(&path).unwrap());
    let set_version = |version: u32| {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
    };
    set_version(1000);
    let Err(StoreError::NewerSchema { found: 1000, known }) = SqliteStore::open(&path) else {
        panic!("a newer schema was opened");
    };
    set_version(known);
    assert!(SqliteStore::open(&path).is_ok());
}

#[tokio::test]
async fn a_file_may_be_opened_twice_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let stores = [SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap()];
    add_alice(&stores[0]).await;
    let writers = [(0, 0), (0, 1), (1, 2), (1, 3)].map(|(store, of)| {
        let store = stores[store].clone();
        tokio::spawn(async move {
            for batch in 0..25 {
                publish(&store, of, batch).await.unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    for store in &stores {
        assert_eq!(store.counts(NOW, NOW).await.unwrap().entries, 100 * BATCH as u64);
        assert_eq!(store.count_entries(&peer(2)).await.unwrap(), 25 * BATCH as u64);
        assert_eq!(count_found(store, "round 17").await, 4 * BATCH + 96);
    }
    drop(stores);
    check_file(&path);
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let database = Database::open(&path, &SqliteStore::options()).unwrap();
    let store = SqliteStore::over(database.clone());
    add_alice(&store).await;
    publish(&store, 0, 0).await.unwrap();
    let set_most_pages = async |sql: &'static str| {
        let set = database.write(move |c| Ok(c.query_row(sql, [], |row| row.get::<_, i64>(0))?));
        set.await.unwrap()
    };
    // Less than there are already means as many as there are.
    set_most_pages("PRAGMA max_page_count = 1").await;

    let mut stored = 1;
    let error = loop {
        match publish(&store, 0, stored).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    let entries = stored * BATCH as u64;
    assert_eq!(store.counts(NOW, NOW).await.unwrap().entries, entries);
    assert_eq!(count_found(&store, "round").await as u64, entries);
    assert!(store.check().await.is_ok());

    set_most_pages("PRAGMA max_page_count = 1000000").await;
    publish(&store, 0, stored).await.unwrap();
    assert_eq!(count_found(&store, "round").await as u64, entries + BATCH as u64);
    drop((store, database));
    check_file(&path);
}

const CHILD_FILE: &str = "P2PSHARE_TEST_STORE_FILE";

/// Run by `what_was_answered_outlives_the_process` in a process of its own; alone it does nothing.
#[test]
fn child_that_publishes_until_it_is_killed() {
    let Some(path) = env::var_os(CHILD_FILE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(path.as_ref()).unwrap();
        let first = store.counts(NOW, NOW).await.unwrap().entries;
        let writers = (0..4).map(|of| {
            let store = store.clone();
            tokio::spawn(async move {
                for batch in first.. {
                    publish(&store, of, batch).await.unwrap();
                    // One write, so that no line is torn by another.
                    let line = format!("\nstored {of} {batch}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

#[test]
fn what_was_answered_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { add_alice(&SqliteStore::open(&path).unwrap()).await });
    let mut stored = Vec::new();
    for _ in 0..5 {
        let child = start_child(&path);
        stored.extend(kill_after(child, rand::rng().random_range(1..60)));
        runtime.block_on(check_stored(&path, &stored));
        check_file(&path);
    }
}

fn start_child(path: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child_that_publishes_until_it_is_killed", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Kills it after so many answers; gives the peer and the batch of all that it got.
fn kill_after(mut child: Child, answers: usize) -> Vec<(u8, u64)> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stored = Vec::new();
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        if let (Some("stored"), Some(of), Some(batch)) = (words.next(), words.next(), words.next())
        {
            stored.push((of.parse().unwrap(), batch.parse().unwrap()));
        }
        if stored.len() == answers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(stored.len() >= answers, "the child ended by itself");
    stored
}

/// Each batch that was answered is there, and no batch is there in part.
async fn check_stored(path: &Path, stored: &[(u8, u64)]) {
    let store = SqliteStore::open(path).unwrap();
    let mut entries = 0;
    for of in 0..4 {
        let all = store.entries(&peer(of), None, u32::MAX).await.unwrap();
        assert_eq!(all.len() % BATCH, 0, "a batch is there in part");
        entries += all.len();
        for (_, batch) in stored.iter().filter(|(owner, _)| *owner == of) {
            let folder = SharePath::parse(&format!("Round {batch}")).unwrap();
            let found = all.iter().filter(|entry| entry.path.starts_with(&folder));
            assert_eq!(found.count(), BATCH, "batch {batch} of peer {of}");
        }
    }
    assert_eq!(store.counts(NOW, NOW).await.unwrap().entries, entries as u64);
    assert_eq!(count_found(&store, "round").await, entries);
    assert_eq!(store.purge_sessions(NOW).await.unwrap(), 0, "it can be written again");
}

/// Its files go in several writes; what others share stays.
#[tokio::test]
async fn a_peer_that_shared_very_much_is_forgotten_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let store = SqliteStore::open(&path).unwrap();
    add_alice(&store).await;
    for batch in 0..205 {
        publish(&store, 0, batch).await.unwrap();
    }
    publish(&store, 1, 0).await.unwrap();
    assert_eq!(store.counts(NOW, NOW).await.unwrap().entries, 206 * BATCH as u64);
    let later = NOW.saturating_add(Duration::from_millis(1));
    assert_eq!(store.purge_peers(later, 1).await.unwrap(), 1);
    assert_eq!(count_found(&store, "round").await, BATCH);
    assert_eq!(store.count_entries(&peer(1)).await.unwrap(), BATCH as u64);
    assert!(store.peer(&peer(0)).await.unwrap().is_none());
    drop(store);
    check_file(&path);
}

/// What the first version noted of partial sources says nothing of the groups they are for: it is forgotten, as peers
/// note it again each minute. When a peer that is away was there last it did not note: that counts from now. All else is
/// as it was.
#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let newest = SqliteStore::options();
    let first = DatabaseOptions { migrations: &newest.migrations[..1], ..newest };
    let database = Database::open(&path, &first).unwrap();
    let old = SqliteStore::over(database.clone());
    add_user(&old).await;
    let announce = |connection: &Connection| {
        let sql = "INSERT INTO peers (peer, owner, addresses, announced_at, last_seen) \
                   SELECT ?1, id, '[]', ?2, ?3 FROM users";
        for number in 0..4 {
            let seen = (number != 3).then_some(NOW.as_millis());
            connection.execute(sql, (peer(number).as_bytes(), NOW.as_millis(), seen))?;
        }
        Ok(())
    };
    database.write(announce).await.unwrap();
    publish(&old, 0, 1).await.unwrap();
    let note = |connection: &Connection| {
        let sql = "INSERT INTO partial_sources SELECT content, 2, 99 FROM entries LIMIT 3";
        Ok(connection.execute(sql, [])?)
    };
    assert_eq!(database.write(note).await.unwrap(), 3);
    drop((old, database));

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(count_found(&store, "round 1").await, BATCH);
    assert_eq!(store.partial_sources_of(&peer(1)).await.unwrap(), []);
    let partial = PartialSource { content: ContentId::of(b"x"), until: NOW, groups: Vec::new() };
    let noted = store.add_partial_source(&alice(), &peer(1), &partial).await.unwrap();
    assert_eq!(noted, Some(Vec::new()));
    let later = NOW.saturating_add(Duration::from_millis(1));
    assert_eq!(store.purge_peers(later, 9).await.unwrap(), 3);
    assert_eq!(store.peers_of(&alice()).await.unwrap()[0].id, peer(3));
    drop(store);
    check_file(&path);
}
