//! A peer of p2pshare, as a library: what the `p2pshare-peer` program is made of.
//!
//! A module may use the modules above it in the list, never those below it.

pub mod data_dir;
pub mod index_client;
pub mod index_keys;
mod meter;
pub mod net;

pub mod lan;
pub mod metrics;
mod port_mapping;

pub mod account;
pub mod guard;
pub mod known_index;
pub mod link;

pub mod catalog;
pub mod inbox;
pub mod publish;
pub mod session;
pub mod share;
pub mod watch;

pub mod daemon;
pub mod download;
pub mod downloads;
pub mod push;

pub mod node;

pub mod local;

pub mod cli;
#[doc(hidden)]
pub mod fuzz;
