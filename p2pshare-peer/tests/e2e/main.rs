//! The real programs, `p2pshare-index` and `p2pshare-peer`, as users run them: whatever happens to them, what arrives
//! is right or there is a clear error, and nothing half or wrong ever has a file's final name.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod apart;
mod awkward_files;
mod changing_files;
mod configuration;
mod doctor;
mod faults;
mod following;
mod full_disk;
mod gateway;
mod groups;
mod handed;
mod index_away;
mod json;
mod keys;
mod kills;
mod links;
mod live;
mod lying_peer;
mod many_files;
mod nearby;
mod page;
mod page_access;
mod push;
mod router;
mod service;
mod session;
mod signals;
mod sources;
mod support;
mod swarm;
mod targets;
mod tls;
#[cfg(feature = "otel")]
mod traces;
