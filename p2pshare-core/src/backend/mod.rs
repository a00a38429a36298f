//! Stores of an index: implementations of [`IndexStore`](crate::index::store::IndexStore).

#[cfg(any(feature = "mongodb", feature = "sqlite"))]
mod browse;

pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "sqlite")]
pub mod sqlite;
