//! Bringing a database to the newest schema.

use rusqlite::{Connection, TransactionBehavior};

use super::{DatabaseError, DatabaseOptions, DatabaseResult};

/// Applies the migrations that the database does not have yet, each in a transaction of its own.
///
/// `user_version` is the number of those applied. It is read under the write lock, so of two processes that open the
/// same file at once each migration is applied by one.
pub(super) fn migrate(
    connection: &mut Connection,
    options: &DatabaseOptions,
) -> DatabaseResult<()> {
    let known = u32::try_from(options.migrations.len())
        .map_err(|_| DatabaseError::corrupt("too many migrations"))?;
    loop {
        // One snapshot: between two readings another process may have made the first tables.
        let snapshot = connection.transaction()?;
        let found = version(&snapshot, options)?;
        drop(snapshot);
        if found == known {
            return Ok(());
        }
        if found > known {
            return Err(DatabaseError::NewerSchema { found, known });
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        let found = version(&transaction, options)?;
        let Some(migration) = options.migrations.get(found as usize) else {
            continue;
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", options.application_id)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

fn version(connection: &Connection, options: &DatabaseOptions) -> DatabaseResult<u32> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let expected = options.application_id;
    let found = pragma("application_id")?;
    let version = pragma("user_version")?;
    let fresh = found == 0 && version == 0 && is_empty(connection)?;
    if found != expected && !fresh {
        return Err(DatabaseError::Foreign { found, expected });
    }
    u32::try_from(version).map_err(|_| DatabaseError::Corrupt(format!("schema version {version}")))
}

fn is_empty(connection: &Connection) -> DatabaseResult<bool> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}
