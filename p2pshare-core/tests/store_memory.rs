//! The memory store keeps the laws of index stores.

use std::sync::Arc;

use p2pshare_core::{
    backend::memory::MemoryStore, index::store::IndexStore,
    testing::store::history::histories_agree,
};

p2pshare_core::store_conformance!(memory_store);

/// A store that depended on anything but what it was told would differ from itself.
#[test]
fn a_history_has_the_same_answers_twice() {
    histories_agree(memory_store, 32);
}

async fn memory_store() -> Arc<dyn IndexStore> {
    Arc::new(MemoryStore::new())
}
