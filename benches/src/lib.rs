//! What the benchmarks share.

pub mod congestion;
pub mod copy;
pub mod far;
pub mod remote;
pub mod usage;

use std::time::Duration;

/// Whether this is the run of a test (`cargo test --benches -- --test`): do everything once, and little of it.
pub fn is_smoke_run() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// The middle one of some measurements; the upper of two.
///
/// # Panics
/// If there are none.
pub fn median(measured: &mut [Duration]) -> Duration {
    measured.sort_unstable();
    measured[measured.len() / 2]
}
