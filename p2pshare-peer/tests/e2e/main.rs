//! The real programs, `p2pshare-index` and `p2pshare-peer`, as users run them: whatever happens to them, what arrives
//! is right or there is a clear error, and nothing half or wrong ever has a file's final name.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod session;
mod support;
mod targets;
