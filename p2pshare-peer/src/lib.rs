//! A peer of p2pshare, as a library: what the `p2pshare-peer` program is made of.
//!
//! A module may use the modules above it in the list, never those below it.

pub mod account;
pub mod data_dir;
pub mod guard;
pub mod index_client;

pub mod catalog;

pub mod inbox;
pub mod publish;
pub mod share;
