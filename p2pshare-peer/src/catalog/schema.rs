//! The tables of the catalog.

use p2pshare_core::backend::sqlite::{DatabaseOptions, Migration, Synchronous};

/// `p2pc`, as a number: marks the file as a catalog.
const APPLICATION_ID: i32 = 0x7032_7063;

/// How the catalog is opened. It can be made anew from the files, so a commit need not outlive a crash of the machine.
pub(super) fn options() -> DatabaseOptions {
    let mut options = DatabaseOptions::new(APPLICATION_ID, MIGRATIONS);
    options.synchronous = Synchronous::Normal;
    options
}

const MIGRATIONS: &[Migration] = &[
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8,
    VERSION_9,
];

/// - `shares.root` and `files.local` are paths as bytes; `local` is below the root, its parts separated by zero bytes,
///   so that the order of the bytes is the order in which a walk meets the files.
/// - `manifests` holds those of contents of more than one piece, as long as a file has the content.
/// - A share is `online` while its root is there; the files of one that is not are kept but not published.
/// - `published` is what the index has acknowledged, `pending` the paths where it may differ from `files`: triggers see
///   to it that every change of a file gets there. Whatever is in `files` and online is in `published` just so, or in
///   `pending`. A trigger must not say `OR IGNORE`, which the statement that fires it would override.
const VERSION_1: Migration = "
CREATE TABLE shares (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    visibility TEXT NOT NULL,
    hidden INTEGER NOT NULL,
    follow_links INTEGER NOT NULL,
    online INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    share INTEGER NOT NULL REFERENCES shares(id),
    local BLOB NOT NULL,
    path TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    UNIQUE (share, local)
) STRICT;
CREATE INDEX files_content ON files (content);
CREATE INDEX files_stamp ON files (inode, size);

CREATE TABLE excluded (
    share INTEGER NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    local BLOB NOT NULL,
    PRIMARY KEY (share, local)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifests (
    content BLOB PRIMARY KEY,
    manifest BLOB NOT NULL
) STRICT;

CREATE TABLE published (
    path TEXT PRIMARY KEY,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    visibility TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pending (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    index_key TEXT,
    username TEXT,
    peer TEXT,
    reconciled INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, NULL, NULL, NULL, 0);

CREATE TRIGGER files_added AFTER INSERT ON files BEGIN
    INSERT INTO pending SELECT new.path WHERE NOT EXISTS (SELECT 1 FROM pending WHERE path = new.path);
END;
CREATE TRIGGER files_changed AFTER UPDATE OF path, content, size ON files BEGIN
    INSERT INTO pending SELECT new.path WHERE NOT EXISTS (SELECT 1 FROM pending WHERE path = new.path);
    INSERT INTO pending SELECT old.path WHERE NOT EXISTS (SELECT 1 FROM pending WHERE path = old.path);
END;
CREATE TRIGGER files_removed AFTER DELETE ON files BEGIN
    INSERT INTO pending SELECT old.path WHERE NOT EXISTS (SELECT 1 FROM pending WHERE path = old.path);
END;
CREATE TRIGGER shares_changed AFTER UPDATE OF visibility, online ON shares
WHEN new.visibility <> old.visibility OR new.online <> old.online BEGIN
    INSERT INTO pending SELECT path FROM files f WHERE share = new.id
        AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.path = f.path);
END;
CREATE TRIGGER manifests_left AFTER DELETE ON files BEGIN
    DELETE FROM manifests WHERE content = old.content
        AND NOT EXISTS (SELECT 1 FROM files WHERE content = old.content);
END;
CREATE TRIGGER manifests_replaced AFTER UPDATE OF content ON files WHEN new.content <> old.content BEGIN
    DELETE FROM manifests WHERE content = old.content
        AND NOT EXISTS (SELECT 1 FROM files WHERE content = old.content);
END;
";

/// What the index said that grants for a group's members say: without it a group's files are served to nobody. So what
/// was published before it was told is published once more.
const VERSION_2: Migration = "
CREATE TABLE reaches (
    visibility TEXT PRIMARY KEY,
    reach TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO pending SELECT path FROM published p WHERE visibility LIKE 'group:%'
    AND NOT EXISTS (SELECT 1 FROM pending q WHERE q.path = p.path);
";

/// A share that is `watched` is followed by the running peer.
const VERSION_3: Migration = "
ALTER TABLE shares ADD COLUMN watched INTEGER NOT NULL DEFAULT 1;
";

/// A share is for one group, and for no other that gets its name: `reach` is what the grants of that group's members say,
/// `NULL` until the index has told it. `lost` says that there was no group of its name when it would have told. `refused` is why the index did not take
/// some of its files the last time.
const VERSION_4: Migration = "
ALTER TABLE shares ADD COLUMN reach TEXT;
ALTER TABLE shares ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shares ADD COLUMN refused TEXT;
UPDATE shares SET reach = (SELECT r.reach FROM reaches r WHERE r.visibility = shares.visibility)
    WHERE visibility LIKE 'group:%';
DROP TABLE reaches;
DROP TRIGGER shares_changed;
CREATE TRIGGER shares_changed AFTER UPDATE OF visibility, online, reach ON shares
WHEN new.visibility <> old.visibility OR new.online <> old.online
    OR (old.reach IS NOT NULL AND new.reach IS NOT old.reach) BEGIN
    INSERT INTO pending SELECT path FROM files f WHERE share = new.id
        AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.path = f.path);
END;
";

/// Whether a file was shared or a folder: `NULL` where nothing tells.
const VERSION_5: Migration = "
ALTER TABLE shares ADD COLUMN is_file INTEGER;
UPDATE shares SET is_file = (SELECT f.local = x'' FROM files f WHERE f.share = shares.id LIMIT 1);
";

/// `roots`: what lay at the root of a share, by which it is known under another name. `ended_roots`: the same of shares that
/// have ended and lay in this one or were for fewer: it does not share that instead.
const VERSION_6: Migration = "
CREATE TABLE roots (
    share INTEGER NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    inode INTEGER NOT NULL,
    born_ns INTEGER NOT NULL,
    is_folder INTEGER NOT NULL,
    PRIMARY KEY (share, inode, born_ns, is_folder)
) STRICT, WITHOUT ROWID;

CREATE TABLE ended_roots (
    share INTEGER NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    inode INTEGER NOT NULL,
    born_ns INTEGER NOT NULL,
    is_folder INTEGER NOT NULL,
    PRIMARY KEY (share, inode, born_ns, is_folder)
) STRICT, WITHOUT ROWID;
";

/// Whether files were seen in what lay at the root, and in which order the roots of a share were noted: the oldest of very
/// many are forgotten.
const VERSION_7: Migration = "
ALTER TABLE roots ADD COLUMN had_files INTEGER NOT NULL DEFAULT 1;
ALTER TABLE roots ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
";

/// Folders in which the root of a share has lain: what was the root of another is meant there.
const VERSION_8: Migration = "
CREATE TABLE roots_above (
    share INTEGER NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    inode INTEGER NOT NULL,
    born_ns INTEGER NOT NULL,
    PRIMARY KEY (share, inode, born_ns)
) STRICT, WITHOUT ROWID;
";

/// When somebody shared what lay at the root, later ones having higher numbers; 0: it was only found there; -1: another
/// share of it that was for fewer has ended. It is of the share for which that was said last.
const VERSION_9: Migration = "
ALTER TABLE roots ADD COLUMN meant INTEGER NOT NULL DEFAULT 0;
";

#[cfg(test)]
mod tests {
    use p2pshare_core::backend::sqlite::Database;
    use rusqlite::Connection;

    use super::*;
    use crate::catalog::Catalog;

    #[tokio::test]
    async fn what_was_shared_before_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let before = DatabaseOptions { migrations: &MIGRATIONS[..2], ..options() };
        let old = Database::open(&path, &before).unwrap();
        let fill = |connection: &Connection| {
            connection.execute_batch(
                "INSERT INTO shares (root, name, visibility, hidden, follow_links)
                 VALUES (CAST('/music' AS BLOB), 'music', 'public', 0, 0)",
            )?;
            Ok(())
        };
        old.write(fill).await.unwrap();
        drop(old);
        let shares = Catalog::open(&path).unwrap().shares().await.unwrap();
        assert!(shares.len() == 1 && shares[0].watched, "{shares:?}");
    }

    #[tokio::test]
    async fn what_was_shared_before_is_what_its_files_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let before = DatabaseOptions { migrations: &MIGRATIONS[..4], ..options() };
        let old = Database::open(&path, &before).unwrap();
        let fill = |connection: &Connection| {
            connection.execute_batch(
                "INSERT INTO shares (id, root, name, visibility, hidden, follow_links) VALUES
                 (1, CAST('/file' AS BLOB), 'file', 'public', 0, 0),
                 (2, CAST('/folder' AS BLOB), 'folder', 'public', 0, 0),
                 (3, CAST('/empty' AS BLOB), 'empty', 'public', 0, 0);
                 INSERT INTO files (share, local, path, content, size, mtime_ns, inode) VALUES
                 (1, x'', 'file', zeroblob(32), 1, 1, 1),
                 (2, CAST('a' AS BLOB), 'folder/a', zeroblob(32), 1, 1, 2)",
            )?;
            Ok(())
        };
        old.write(fill).await.unwrap();
        drop(old);
        let shares = Catalog::open(&path).unwrap().shares().await.unwrap();
        let are_files: Vec<_> =
            shares.iter().map(|share| (share.name.as_str(), share.is_file)).collect();
        assert_eq!(are_files, [("empty", None), ("file", Some(true)), ("folder", Some(false))]);
    }

    #[tokio::test]
    async fn what_was_shared_with_a_group_before_is_for_that_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let before = DatabaseOptions { migrations: &MIGRATIONS[..3], ..options() };
        let old = Database::open(&path, &before).unwrap();
        let fill = |connection: &Connection| {
            connection.execute_batch(
                "INSERT INTO shares (root, name, visibility, hidden, follow_links) VALUES
                     (CAST('/a' AS BLOB), 'a', 'public', 0, 0), (CAST('/b' AS BLOB), 'b', 'group:club', 0, 0),
                     (CAST('/c' AS BLOB), 'c', 'group:other', 0, 0);
                 INSERT INTO reaches VALUES ('group:club', '00112233445566778899aabbccddeeff');",
            )?;
            Ok(())
        };
        old.write(fill).await.unwrap();
        drop(old);
        let shares = Catalog::open(&path).unwrap().shares().await.unwrap();
        let reaches: Vec<_> =
            shares.iter().map(|share| share.reach.map(|reach| reach.to_string())).collect();
        assert_eq!(reaches, [None, Some("00112233445566778899aabbccddeeff".to_owned()), None]);
    }

    #[tokio::test]
    async fn what_was_published_to_groups_before_is_published_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let first = DatabaseOptions { migrations: &MIGRATIONS[..1], ..options() };
        let old = Database::open(&path, &first).unwrap();
        let fill = |connection: &Connection| {
            connection.execute_batch(
                "INSERT INTO published VALUES ('a', x'00', 1, 'public');
                 INSERT INTO published VALUES ('b', x'00', 1, 'group:club');
                 INSERT INTO published VALUES ('c', x'00', 1, 'group:club');
                 INSERT INTO published VALUES ('d', x'00', 1, 'unlisted');
                 INSERT INTO pending VALUES ('c');
                 INSERT INTO pending VALUES ('e');",
            )?;
            Ok(())
        };
        old.write(fill).await.unwrap();
        drop(old);

        let catalog = Catalog::open(&path).unwrap();
        let pending = catalog.read(|connection| {
            let mut query = connection.prepare("SELECT path FROM pending ORDER BY path")?;
            let paths = query.query_map([], |row| row.get::<_, String>(0))?;
            Ok(paths.collect::<Result<Vec<_>, _>>()?)
        });
        assert_eq!(pending.await.unwrap(), ["b", "c", "e"]);
    }
}
