//! The library of p2pshare.
//!
//! A module may use the modules above it in the list, never those below it.

pub mod content;
