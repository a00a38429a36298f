//! The memory store keeps the laws of index stores.

use std::sync::Arc;

use p2pshare_core::{backend::memory::MemoryStore, index::store::IndexStore};

p2pshare_core::store_conformance!(memory_store);

async fn memory_store() -> Arc<dyn IndexStore> {
    Arc::new(MemoryStore::new())
}
