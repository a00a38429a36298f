//! Stores of an index: implementations of [`IndexStore`](crate::index::store::IndexStore).

pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
