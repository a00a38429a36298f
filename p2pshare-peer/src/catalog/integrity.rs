//! Whether a catalog is intact.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Why a catalog does not count as intact.
#[derive(Debug, thiserror::Error)]
pub enum CatalogTrouble {
    /// What is in the file makes no sense.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// It could not be looked at; it may well be intact.
    #[error("the file cannot be used: {0}")]
    Unusable(String),
}

/// Reads the whole file and looks whether it makes sense. Blocks; changes nothing, and others may use it meanwhile.
///
/// # Errors
/// `CatalogTrouble`, with the first thing that is wrong.
pub fn check_integrity(path: &Path) -> Result<(), CatalogTrouble> {
    let trouble = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            CatalogTrouble::Damaged(error.to_string())
        }
        _ => CatalogTrouble::Unusable(error.to_string()),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(trouble)?;
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(trouble)?;
    if found == "ok" { Ok(()) } else { Err(CatalogTrouble::Damaged(found)) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_whole_catalog_is_told_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        drop(Catalog::open(&path).unwrap());
        check_integrity(&path).unwrap();

        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[100..].fill(0xa5);
        bytes.truncate(middle);
        fs::write(&path, bytes).unwrap();
        assert!(matches!(check_integrity(&path), Err(CatalogTrouble::Damaged(_))));
        // What cannot be opened may be intact.
        let none = check_integrity(&folder.path().join("none"));
        assert!(matches!(none, Err(CatalogTrouble::Unusable(_))));
    }
}
