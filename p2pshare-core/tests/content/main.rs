//! The content module as its users see it.

// Clippy knows tests by their attribute; the helpers beside them are tests as well.
#![allow(clippy::unwrap_used)]

mod file;
mod reference;
mod set;
mod tamper;
mod tree;
