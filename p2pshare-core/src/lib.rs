//! The library of p2pshare.
//!
//! A module may use the modules above it in the list, never those below it.

pub mod config_file;
pub mod private_file;
pub mod process;
pub mod text;
pub mod time;

pub mod content;
pub mod identity;
pub mod path;

pub mod auth;

pub mod api;

pub mod transfer;

pub mod swarm;

pub mod index;

pub mod backend;

#[cfg(feature = "testing")]
pub mod testing;
