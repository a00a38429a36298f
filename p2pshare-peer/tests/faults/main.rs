//! Transfers between real peers over wires on which things go wrong, at random: a byte is changed, the connection is cut,
//! stalls, is reset, or carries 1 KB/s.
//!
//! Whatever happens, a transfer ends in time, with the right bytes or with an error that names every source and its
//! cause; and once the wire is well, the same transfer goes on and ends well. Each test prints the seed that failed.
#![allow(clippy::unwrap_used)]

mod downloads;
mod pushes;
#[path = "../net/support.rs"]
mod support;
mod wires;
