//! Opening files and connections.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{DatabaseError, DatabaseOptions, DatabaseResult, Synchronous, migrate::migrate};

/// How long a connection waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 256;

/// Pages after which the writer moves the log into the database: 16 MiB, so that a busy writer does it rarely.
const CHECKPOINT_PAGES: u32 = 4096;

/// Size that the log is cut to once it has been moved into the database.
const LOG_BYTES: u32 = 64 << 20;

/// Memory for pages, in KiB. It is taken only as pages are read.
const WRITER_CACHE_KIB: i32 = 64 << 10;
const READER_CACHE_KIB: i32 = 16 << 10;

/// Makes the file, the folders above it, and its tables. The connection that comes back may write.
pub(super) fn open_writer(path: &Path, options: &DatabaseOptions) -> DatabaseResult<Connection> {
    create_file(path).map_err(|source| failed(path, source))?;
    let mut connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    use_write_ahead_log(&connection, path)?;
    set_up_writer(&mut connection, options)?;
    Ok(connection)
}

/// As [`open_writer`], in memory and gone with the connection.
pub(super) fn open_in_memory(options: &DatabaseOptions) -> DatabaseResult<Connection> {
    let mut connection = Connection::open_in_memory_with_flags(flags())?;
    set_up_writer(&mut connection, options)?;
    Ok(connection)
}

/// A connection that cannot write, to a file that [`open_writer`] has opened.
pub(super) fn open_reader(path: &Path, options: &DatabaseOptions) -> DatabaseResult<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    prepare(&connection, options)?;
    Ok(connection)
}

/// Each connection stays on one thread, so SQLite need not lock it. Files are made by [`create_file`] alone.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn set_up_writer(connection: &mut Connection, options: &DatabaseOptions) -> DatabaseResult<()> {
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    prepare(connection, options)?;
    migrate(connection, options)
}

/// What all connections have in common.
fn prepare(connection: &Connection, options: &DatabaseOptions) -> DatabaseResult<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise a statement may be compiled again for each value that is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    (options.prepare)(connection)?;
    Ok(())
}

/// Makes an empty file that only its owner may read; SQLite gives its log the same permissions.
fn create_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// SQLite does not wait for another process that switches the same file at this moment, so it is asked again.
fn use_write_ahead_log(connection: &Connection, path: &Path) -> DatabaseResult<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(DatabaseError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let reason = format!("its file system allows the journal mode {mode}, not WAL");
                return Err(failed(path, io::Error::other(reason)));
            }
            Err(error) if error.is_busy() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The error of a database that cannot be opened.
pub(super) fn failed(path: &Path, source: io::Error) -> DatabaseError {
    DatabaseError::Open { path: path.to_owned(), source: Arc::new(source) }
}
