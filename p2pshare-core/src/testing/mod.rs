//! What tests of implementations of this library's traits are made of.
//!
//! - [`store`], [`source`], [`source_partial`] and [`sink`] are conformance suites: one async function for each law of a
//!   trait, and a macro that makes a test of each.
//! - [`FaultySource`] lies and breaks on purpose.
//! - [`proxy`] is a wire on which things go wrong: it corrupts, cuts, stalls, resets and slows TCP connections.
//! - [`sample`] makes contents.
//! - [`fuzz`] takes bytes of every kind.
//! - [`programs`] looks at the examples and the dashboard of a program.
//!
//! What breaks a law panics, as tests do.

pub mod fuzz;
#[cfg(feature = "mongodb")]
pub mod mongod;
pub mod programs;
pub mod proxy;
pub mod sink;
pub mod source;
mod source_faults;
pub mod source_partial;
mod source_samples;
mod source_simple;
pub mod store;

pub use source_faults::{Fault, FaultySource};
pub use source_samples::{SIZES, sample};
pub use source_simple::SimpleSource;
