//! The SQLite store keeps the laws of index stores, and answers as the memory store does.
#![cfg(feature = "sqlite")]

use std::{cell::RefCell, sync::Arc};

use p2pshare_core::{
    backend::sqlite::SqliteStore,
    index::store::IndexStore,
    testing::store::{block_on, history::histories_agree, run_all},
};

p2pshare_core::store_conformance!(in_memory);

async fn in_memory() -> Arc<dyn IndexStore> {
    Arc::new(SqliteStore::open_in_memory().expect("memory is there"))
}

/// A file has readers beside the writer, which a database in memory has not.
#[test]
fn a_file_keeps_all_laws() {
    let folders = RefCell::new(Vec::new());
    block_on(run_all(async || {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let store = SqliteStore::open(&folder.path().join("index.db")).expect("a new file opens");
        folders.borrow_mut().push(folder);
        Arc::new(store) as Arc<dyn IndexStore>
    }));
}

#[test]
fn every_history_has_the_answers_of_the_memory_store() {
    histories_agree(in_memory, 48);
}
