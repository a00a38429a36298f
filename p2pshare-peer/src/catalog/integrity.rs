//! Whether a catalog is intact.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Why a catalog is not intact.
#[derive(Debug, thiserror::Error)]
#[error("the file is damaged: {0}")]
pub struct DamagedCatalog(String);

/// Reads the whole file and looks whether it makes sense. Blocks; changes nothing, and others may use it meanwhile.
///
/// # Errors
/// `DamagedCatalog`, with the first thing that is wrong.
pub fn check_integrity(path: &Path) -> Result<(), DamagedCatalog> {
    let damaged = |error: rusqlite::Error| DamagedCatalog(error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(damaged)?;
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if found == "ok" { Ok(()) } else { Err(DamagedCatalog(found)) }
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
        check_integrity(&path).unwrap_err();
        check_integrity(&folder.path().join("none")).unwrap_err();
    }
}
