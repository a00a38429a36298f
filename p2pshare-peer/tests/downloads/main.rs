//! The manager of downloads over real sockets: an index, a peer that shares, and queues that are paused, cancelled,
//! killed and opened again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod histories;
mod queue;
mod reading;
mod support;
mod trouble;
#[path = "../with_index/mod.rs"]
#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod with_index;
