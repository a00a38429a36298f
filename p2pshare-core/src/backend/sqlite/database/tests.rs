use std::{path::PathBuf, sync::mpsc::channel};

use futures::future::join_all;
use rusqlite::ErrorCode;

use super::*;

const ID: i32 = 0x7465_7374;
const SCHEMA: &[Migration] = &[
    "CREATE TABLE n (value INTEGER PRIMARY KEY, note BLOB) STRICT;",
    "CREATE INDEX n_note ON n (note);",
];

fn options() -> DatabaseOptions {
    DatabaseOptions::new(ID, SCHEMA)
}

fn new_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/test.db");
    (folder, path)
}

async fn insert(database: &Database, value: i64) -> DatabaseResult<()> {
    database
        .write(move |c| {
            c.prepare_cached("INSERT INTO n (value) VALUES (?1)")?.execute([value])?;
            Ok(())
        })
        .await
}

async fn values(database: &Database) -> Vec<i64> {
    let read = database.read(|c| {
        let mut rows = c.prepare_cached("SELECT value FROM n ORDER BY value")?;
        let values = rows.query_map([], |row| row.get(0))?;
        Ok(values.collect::<Result<Vec<i64>, _>>()?)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_and_survives() {
    let (_folder, path) = new_file();
    let database = Database::open(&path, &options()).unwrap();
    insert(&database, 1).await.unwrap();
    assert_eq!(values(&database.clone()).await, [1]);
    drop(database);
    assert!(
        !path.with_file_name("test.db-wal").exists(),
        "the log is moved into the database when it closes"
    );
    let database = Database::open(&path, &options()).unwrap();
    assert_eq!(values(&database).await, [1]);
}

#[tokio::test]
async fn a_job_that_fails_is_undone_alone() {
    for database in [
        Database::open_in_memory(&options()).unwrap(),
        Database::open(&new_file().1, &options()).unwrap(),
    ] {
        // The first job holds the writer until the others wait, so that they are committed together.
        let (go, gate) = channel();
        let first = database.write(move |_| gate.recv().map_err(DatabaseError::corrupt));
        let rest = join_all((0..60).map(|value| {
            let database = &database;
            async move {
                if value % 3 == 2 {
                    return insert(database, value).await;
                }
                let job = database.write(move |c| {
                    c.execute("INSERT INTO n (value) VALUES (?1)", [value])?;
                    match value % 3 {
                        0 => panic!("value {value}"),
                        _ => c.execute("INSERT INTO n (value) VALUES (?1)", [value])?,
                    };
                    Ok(())
                });
                let error = job.await.unwrap_err();
                match value % 3 {
                    0 => assert!(matches!(error, DatabaseError::Panicked(text) if text.ends_with(&value.to_string()))),
                    _ => assert!(!error.is_transient()),
                }
                Ok(())
            }
        }));
        let release = async { go.send(()).unwrap() };
        let (first, rest, ()) = futures::join!(first, rest, release);
        first.unwrap();
        assert!(rest.iter().all(Result::is_ok));
        assert_eq!(
            values(&database).await,
            (0..60).filter(|value| value % 3 == 2).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn readers_cannot_write_and_outlive_a_panic() {
    let (_folder, path) = new_file();
    let mut options = options();
    options.readers = Some(1);
    let database = Database::open(&path, &options).unwrap();
    let written = database.read(|c| Ok(c.execute("INSERT INTO n (value) VALUES (1)", [])?)).await;
    let Err(DatabaseError::Sqlite(error)) = written else {
        panic!("a reader wrote");
    };
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly));
    let panicked = database.read::<(), _>(|_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(DatabaseError::Panicked(_))));
    assert!(values(&database).await.is_empty());
}

#[tokio::test]
async fn a_full_disk_undoes_all_and_is_overcome() {
    let (_folder, path) = new_file();
    let database = Database::open(&path, &options()).unwrap();
    insert(&database, 1).await.unwrap();
    let limit = |pages: i64| {
        database.write(move |c| {
            c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
            Ok(())
        })
    };
    limit(8).await.unwrap();
    let blob = || vec![7_u8; 100_000];
    let full = database
        .write(move |c| {
            c.execute("INSERT INTO n (value) VALUES (2)", [])?;
            c.execute("INSERT INTO n VALUES (3, ?1)", [blob()])?;
            Ok(())
        })
        .await;
    let full = full.unwrap_err();
    assert!(matches!(full, DatabaseError::Full) && full.is_transient(), "{full}");
    assert_eq!(values(&database).await, [1]);
    insert(&database, 4).await.unwrap();
    limit(1_000_000).await.unwrap();
    database
        .write(move |c| Ok(c.execute("INSERT INTO n VALUES (5, ?1)", [blob()])?))
        .await
        .unwrap();
    assert_eq!(values(&database).await, [1, 4, 5]);
}

#[test]
fn files_that_are_not_ours_are_refused() {
    let (_folder, path) = new_file();
    drop(Database::open(&path, &options()).unwrap());
    let older = DatabaseOptions::new(ID, &SCHEMA[..1]);
    assert!(matches!(
        Database::open(&path, &older),
        Err(DatabaseError::NewerSchema { found: 2, known: 1 })
    ));
    assert!(matches!(
        Database::open(&path, &DatabaseOptions::new(ID + 1, SCHEMA)),
        Err(DatabaseError::Foreign { found: ID, .. })
    ));
    let other = path.with_file_name("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(
        Database::open(&other, &options()),
        Err(DatabaseError::Foreign { found: 0, .. })
    ));
    std::fs::write(&other, "no database at all, but some text that is long enough".repeat(100))
        .unwrap();
    assert!(Database::open(&other, &options()).is_err());
    std::fs::write(&other, "").unwrap();
    assert!(Database::open(&other, &options()).is_ok(), "an empty file is a fresh one");
    assert!(matches!(
        Database::open(&other.join("below"), &options()),
        Err(DatabaseError::Open { .. })
    ));
}

#[test]
fn an_older_file_is_brought_up_to_date() {
    let (_folder, path) = new_file();
    let older = DatabaseOptions::new(ID, &SCHEMA[..1]);
    drop(Database::open(&path, &older).unwrap());
    drop(Database::open(&path, &options()).unwrap());
    assert!(Database::open(&path, &older).is_err());
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let (_folder, path) = new_file();
    let all: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || Database::open(&path, &options()))
        })
        .collect();
    let all: Vec<_> = all.into_iter().map(|opened| opened.join().unwrap().unwrap()).collect();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for (value, database) in (0..).zip(&all) {
            insert(database, value).await.unwrap();
        }
        assert_eq!(values(&all[0]).await, (0..8).collect::<Vec<_>>());
    });
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let (_folder, path) = new_file();
    let _database = Database::open(&path, &options()).unwrap();
    for name in ["test.db", "test.db-wal"] {
        let mode = path.with_file_name(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_job_may_hold_the_last_handle() {
    let (_folder, path) = new_file();
    let database = Database::open(&path, &options()).unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (ended, end) = tokio::sync::oneshot::channel();
    let held = database.clone();
    let (go, gate) = channel::<()>();
    let job = async move {
        let write = database.write(move |_| {
            let _ = begun.send(());
            let _ = gate.recv();
            drop(held);
            let _ = ended.send(());
            Ok(())
        });
        tokio::select! {
            _ = write => panic!("it waits for the gate"),
            begun = has_begun => begun.unwrap(),
        }
    };
    // Afterwards only the job, which runs, has a handle.
    job.await;
    go.send(()).unwrap();
    end.await.unwrap();
    assert!(Database::open(&path, &options()).is_ok());
}

#[tokio::test]
async fn a_log_that_is_there_or_not_is_synced() {
    let (folder, path) = new_file();
    let database = Database::open(&path, &options()).unwrap();
    insert(&database, 1).await.unwrap();
    assert!(path.with_extension("db-wal").exists());
    database.sync().await.unwrap();
    // As after it was moved into the database.
    std::fs::remove_file(path.with_extension("db-wal")).unwrap();
    database.sync().await.unwrap();
    drop((database, folder));
    Database::open_in_memory(&options()).unwrap().sync().await.unwrap();
}

/// A query that ends by itself only after a very long time.
fn endless(connection: &Connection) -> DatabaseResult<i64> {
    let sql =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

#[tokio::test]
async fn a_read_ends_when_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.readers = Some(1);
    let database = Database::open(&folder.path().join("db"), &options).unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let work = move |connection: &Connection| {
        let _ = begun.send(());
        endless(connection)
    };
    tokio::select! {
        _ = database.read(work) => panic!("it has no end"),
        begun = has_begun => begun.unwrap(),
    }
    // The only thread that reads is free again, and what comes after is not ended.
    let sum = database.read(|c| Ok(c.query_row("SELECT 1 + 1", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(sum.await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_read_does_not_wait_for_scans() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    (options.readers, options.scanners, options.searchers) = (Some(1), 1, 1);
    let database = Database::open(&folder.path().join("db"), &options).unwrap();
    let one = |c: &Connection| Ok(c.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?);
    let searches = async { tokio::join!(database.scan_all(endless), database.scan_all(endless)) };
    let mut searches = std::pin::pin!(searches);
    tokio::select! {
        biased;
        _ = &mut searches => panic!("they have no end"),
        one = database.scan(one) => assert_eq!(one.unwrap(), 1),
    }
    let scans = async { tokio::join!(database.scan(endless), database.scan(endless)) };
    tokio::select! {
        biased;
        _ = &mut searches => panic!("they have no end"),
        _ = scans => panic!("they have no end"),
        one = database.read(one) => assert_eq!(one.unwrap(), 1),
    }
}
