//! A database file shared by threads: one thread writes, several read, nobody blocks.

mod error;
mod job;
mod migrate;
mod open;
mod threads;

use std::{
    fs::File,
    future::Future,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::{
    sync::mpsc::{self, Sender},
    task::spawn_blocking,
};

pub use error::{DatabaseError, DatabaseResult};

use job::Job;

use crate::process::cores;

/// Jobs that wait for a thread; whoever brings more waits until there is room.
const QUEUE: usize = 1024;

/// One step of the schema: SQL statements that are executed together, once.
pub type Migration = &'static str;

/// When a commit has reached the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Every commit is synced before it is answered: it outlives a crash of the machine. Group commit shares the cost
    /// among all that wait.
    #[default]
    Full,
    /// The log is synced only when it is moved into the database, and by [`Database::sync`]: a commit outlives a crash of
    /// the process, but the last ones may be lost in a crash of the machine. The database stays whole.
    Normal,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// Written into the file, so that no other program's database is taken for this one. Not 0.
    pub application_id: i32,
    /// The schema, oldest step first. A step that was released is never changed: a new one follows it.
    pub migrations: &'static [Migration],
    /// When a commit has reached the disk.
    pub synchronous: Synchronous,
    /// Threads that read; the number of cores, at least 2, unless told.
    pub readers: Option<usize>,
    /// Threads that [`scan`](Database::scan); 0 unless told: then those that read do it.
    pub scanners: usize,
    /// Threads that [`scan_all`](Database::scan_all); 0 unless told: then those that scan do it.
    pub searchers: usize,
    /// Called on each new connection, to register functions.
    pub prepare: fn(&Connection) -> rusqlite::Result<()>,
}

impl DatabaseOptions {
    /// Options with defaults for all but these.
    pub fn new(application_id: i32, migrations: &'static [Migration]) -> Self {
        Self {
            application_id,
            migrations,
            synchronous: Synchronous::default(),
            readers: None,
            scanners: 0,
            searchers: 0,
            prepare: |_| Ok(()),
        }
    }
}

/// A database with its threads. A clone shares them.
///
/// Jobs are closures that run on the database's own threads; they must neither begin nor end transactions, and must
/// not wait for anything. [`write`](Self::write) jobs that wait at the same time are committed together.
///
/// Dropping the last handle waits for the jobs that were handed over, moves the log into the database and ends the
/// threads.
#[derive(Clone, Debug)]
pub struct Database {
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads {
    /// `None` for a database in memory.
    path: Option<PathBuf>,
    /// `None` only while it is dropped.
    writer: Option<Sender<Box<dyn Job>>>,
    /// `None` for a database in memory, whose only connection is the writer's.
    readers: Option<Sender<Box<dyn Job>>>,
    /// `None` where the readers do it.
    scanners: Option<Sender<Box<dyn Job>>>,
    /// `None` where the scanners do it.
    searchers: Option<Sender<Box<dyn Job>>>,
    /// Readers first: the last connection to close moves the log.
    handles: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens a file, making it (readable by its owner alone) and the folders above it if needed, and brings it to the
    /// newest schema. Blocks. Several processes may open the same file.
    ///
    /// # Errors
    /// [`DatabaseError::NewerSchema`] and [`DatabaseError::Foreign`] if the file is not for this program,
    /// [`DatabaseError::Open`] or [`DatabaseError::Sqlite`] if it cannot be opened.
    pub fn open(path: &Path, options: &DatabaseOptions) -> DatabaseResult<Self> {
        let failed = |error| open::failed(path, error);
        let writer = open::open_writer(path, options)?;
        let count = options.readers.unwrap_or_else(default_readers).max(1);
        let (read, read_jobs) = mpsc::channel(QUEUE);
        let (scan, scan_jobs) = mpsc::channel(QUEUE);
        let (search, search_jobs) = mpsc::channel(QUEUE);
        let (write, write_jobs) = mpsc::channel(QUEUE);
        // From here on a failure drops the senders, and with them the threads that have started.
        let mut threads = Threads {
            path: Some(path.to_owned()),
            writer: Some(write),
            readers: Some(read),
            scanners: (options.scanners > 0).then_some(scan),
            searchers: (options.searchers > 0).then_some(search),
            handles: Vec::with_capacity(count + options.scanners + options.searchers + 1),
        };
        for (jobs, count) in
            [(read_jobs, count), (scan_jobs, options.scanners), (search_jobs, options.searchers)]
        {
            let jobs = Arc::new(Mutex::new(jobs));
            for _ in 0..count {
                let reader = open::open_reader(path, options)?;
                let handle = threads::start_reader(reader, jobs.clone()).map_err(failed)?;
                threads.handles.push(handle);
            }
        }
        let handle = threads::start_writer(writer, write_jobs).map_err(failed)?;
        threads.handles.push(handle);
        Ok(Self { threads: Arc::new(threads) })
    }

    /// A database in memory that is gone with its last handle. Reads and writes share one thread.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in_memory(options: &DatabaseOptions) -> DatabaseResult<Self> {
        let connection = open::open_in_memory(options)?;
        let (write, write_jobs) = mpsc::channel(QUEUE);
        let handle = threads::start_writer(connection, write_jobs)
            .map_err(|error| open::failed(Path::new(":memory:"), error))?;
        let threads = Threads {
            path: None,
            writer: Some(write),
            readers: None,
            scanners: None,
            searchers: None,
            handles: vec![handle],
        };
        Ok(Self { threads: Arc::new(threads) })
    }

    /// Runs a job on a connection that cannot write. All that it reads is of one moment, at or after the call.
    ///
    /// # Errors
    /// What the job fails with, or that it panicked, or that the database cannot be read. Dropping the future drops
    /// the job if it has not begun, and ends it soon if it has.
    pub fn read<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = DatabaseResult<T>> + Send + use<'_, T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    {
        let threads = &self.threads;
        run(threads.readers.as_ref().or(threads.writer.as_ref()), work)
    }

    /// As [`read`](Self::read), for jobs that may take long: they wait for each other, and those that are read do not
    /// wait for them if there are threads for it ([`DatabaseOptions::scanners`]).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn scan<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = DatabaseResult<T>> + Send + use<'_, T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    {
        let Threads { writer, readers, scanners, .. } = &*self.threads;
        run(scanners.as_ref().or(readers.as_ref()).or(writer.as_ref()), work)
    }

    /// As [`scan`](Self::scan), for jobs that may read everything: those that scan do not wait for them if there are
    /// threads for it ([`DatabaseOptions::searchers`]).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn scan_all<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = DatabaseResult<T>> + Send + use<'_, T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    {
        let Threads { writer, readers, scanners, searchers, .. } = &*self.threads;
        let jobs = searchers.as_ref().or(scanners.as_ref()).or(readers.as_ref());
        run(jobs.or(writer.as_ref()), work)
    }

    /// Runs a job in a transaction. When the answer comes it is committed, or undone if it is an error.
    ///
    /// # Errors
    /// What the job fails with, or that it panicked, or that the transaction failed. Dropping the future drops the job
    /// if it has not begun; otherwise it is done all the same.
    pub fn write<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = DatabaseResult<T>> + Send + use<'_, T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    {
        run(self.threads.writer.as_ref(), work)
    }

    /// Makes all that was committed before outlive a crash of the machine, whatever the option
    /// [`synchronous`](DatabaseOptions::synchronous) says. Nothing to do in memory. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`DatabaseError::Sync`].
    pub async fn sync(&self) -> DatabaseResult<()> {
        let Some(path) = self.threads.path.clone() else {
            return Ok(());
        };
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let synced = spawn_blocking(move || match File::open(log) {
            // What was in it is in the database, which was synced.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            log => log?.sync_data(),
        });
        let synced = synced.await.unwrap_or_else(|_| Err(ErrorKind::Interrupted.into()));
        synced.map_err(|source| DatabaseError::Sync { path, source: Arc::new(source) })
    }
}

async fn run<T, F>(jobs: Option<&Sender<Box<dyn Job>>>, work: F) -> DatabaseResult<T>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
{
    let jobs = jobs.ok_or(DatabaseError::Closed)?;
    let (job, answer) = job::job(work);
    jobs.send(job).await.map_err(|_| DatabaseError::Closed)?;
    answer.wait().await
}

/// As many as there are cores, at least 2.
pub(super) fn default_readers() -> usize {
    cores().get().max(2)
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.readers = None;
        self.scanners = None;
        self.searchers = None;
        self.writer = None;
        for handle in self.handles.drain(..) {
            // A job that holds the last handle must not wait for its own thread.
            if handle.thread().id() != thread::current().id() {
                // Its jobs cannot panic it, and what else could has been reported by the panic hook.
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests;
