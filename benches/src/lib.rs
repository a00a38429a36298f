//! What the benchmarks share.

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

/// CPU seconds that this process has used, its threads all together.
pub fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}
