//! The threads that own the connections.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use super::{DatabaseError, DatabaseResult, job::Job};

/// Most jobs in one transaction: what arrives during a commit is what the next one carries, and the first of them must
/// not wait for too many others.
const JOBS_PER_COMMIT: usize = 256;

/// After so many instructions of its machine the database looks whether anybody waits for what it reads: some milliseconds.
const LOOK_EVERY: i32 = 100_000;

/// Starts the thread that writes. It ends, and moves the log into the database, when all senders are gone.
pub(super) fn start_writer(
    connection: Connection,
    mut jobs: Receiver<Box<dyn Job>>,
) -> io::Result<JoinHandle<()>> {
    start("db-writer", move || {
        let mut batch = Vec::with_capacity(JOBS_PER_COMMIT);
        while jobs.blocking_recv_many(&mut batch, JOBS_PER_COMMIT) > 0 {
            commit_together(&connection, &mut batch);
        }
        // Readers of another process may be in the way; whoever opens the file next does it.
        let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    })
}

/// Starts a thread that reads. It ends when all senders are gone.
pub(super) fn start_reader(
    mut connection: Connection,
    jobs: Arc<Mutex<Receiver<Box<dyn Job>>>>,
) -> io::Result<JoinHandle<()>> {
    start("db-reader", move || {
        loop {
            // One idle reader waits for the next job, the others for their turn to wait.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            match job {
                Some(job) if job.is_cancelled() => {}
                Some(job) => read(&mut connection, job),
                None => return,
            }
        }
    })
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body)
}

/// Runs a job in a transaction, so that all it reads is of one moment, until nobody waits for it.
fn read(connection: &mut Connection, mut job: Box<dyn Job>) {
    let given_up = job.given_up();
    let ends = move || given_up.load(Relaxed);
    let begun = execute(connection, "BEGIN")
        .and_then(|()| Ok(connection.progress_handler(LOOK_EVERY, Some(ends))?));
    if begun.is_ok() {
        job.run(connection);
    }
    if let Err(error) = connection.progress_handler(0, None::<fn() -> bool>) {
        warn!(%error, "a look whether somebody waits did not end");
    }
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        warn!(%error, "a read transaction did not end");
    }
    job.finish(begun);
}

/// Group commit: runs the jobs in one transaction, each in a savepoint so that one that fails is undone alone, and
/// answers all once it is committed.
fn commit_together(connection: &Connection, batch: &mut Vec<Box<dyn Job>>) {
    batch.retain(|job| !job.is_cancelled());
    if batch.is_empty() {
        return;
    }
    let outcome = run_together(connection, batch);
    if outcome.is_err()
        && !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        warn!(%error, "a write transaction did not end");
    }
    for job in batch.drain(..) {
        job.finish(outcome.clone());
    }
}

fn run_together(connection: &Connection, batch: &mut [Box<dyn Job>]) -> DatabaseResult<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    // A savepoint costs a copy of each page that is changed, and a job alone has the transaction for itself.
    if let [alone] = batch {
        return match (alone.run(connection), connection.is_autocommit()) {
            (true, false) => execute(connection, "COMMIT"),
            (true, true) => Err(DatabaseError::Undone),
            (false, false) => execute(connection, "ROLLBACK"),
            (false, true) => Ok(()),
        };
    }
    for job in batch {
        execute(connection, "SAVEPOINT job")?;
        if !job.run(connection) {
            // Some errors, such as a full disk, end the whole transaction; the jobs before this one are lost with it.
            if connection.is_autocommit() {
                return Err(DatabaseError::Undone);
            }
            execute(connection, "ROLLBACK TO job")?;
        }
        execute(connection, "RELEASE job")?;
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, sql: &str) -> DatabaseResult<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
