//! What a process has used: CPU seconds and memory.

use std::fs;
use std::time::Duration;

/// What a process has used since some moment, or since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU seconds of all threads.
    pub cpu: Duration,
    /// The largest resident memory, in bytes; 0 where the system does not tell.
    pub peak_memory: u64,
}

impl Usage {
    /// What this process has used.
    pub fn of_this_process() -> Self {
        Self { cpu: cpu_time(), peak_memory: peak_memory() }
    }

    /// What was used between an earlier moment and this one. The peak is that of this one.
    pub fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), ..self }
    }
}

/// CPU seconds that this process has used, its threads all together.
pub fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// Lets the peak of this process' memory begin anew, where the system can.
pub fn forget_peak() {
    // Linux alone has it; elsewhere the peak is that of the whole life.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
