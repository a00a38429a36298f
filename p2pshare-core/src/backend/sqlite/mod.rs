//! SQLite: a database file shared by threads, and the index store over it.

mod database;

pub use database::{
    Database, DatabaseError, DatabaseOptions, DatabaseResult, Migration, Synchronous,
};
