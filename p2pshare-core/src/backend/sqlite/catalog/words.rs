//! The words of a path, known to SQL.

use rusqlite::{Connection, functions::FunctionFlags};

use crate::index::search::scan::PathWords;

/// Makes `path_words(path)` known to SQL: the words of a path as they are written into the index of words.
pub(in crate::backend::sqlite) fn register_functions(
    connection: &Connection,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("path_words", 1, flags, |context| {
        let mut words = PathWords::default();
        words.cut(context.get_raw(0).as_str()?);
        Ok(words.to_text())
    })
}
