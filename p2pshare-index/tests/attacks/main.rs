//! What somebody may try against an index on the open internet, and how little they get by it.
//!
//! Each test asserts the documented answers, that the index never fails (no status of 500 or above but the documented
//! 503), and that it serves honest clients meanwhile or after.
#![allow(clippy::unwrap_used)]
// Clients come from many addresses of the loopback network, and memory is read from /proc.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod announces;
mod groups;
mod http2;
mod large;
mod memberships;
mod operators;
mod reach;
mod slow;
mod strange;
mod tokens;
