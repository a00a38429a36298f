//! Processes, what they print, and what they use.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::Outcome;

/// How often the memory of a racer is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that serves until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// The line that it printed when it was ready.
    pub(crate) ready: String,
}

impl Server {
    /// Starts it and waits for a line with `mark`.
    pub(crate) fn start(mut command: Command, mark: &str) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains(mark));
        // What it prints later must not stop it.
        thread::spawn(move || lines.for_each(drop));
        match ready {
            Some(ready) => Ok(Self { child, ready }),
            None => Err(format!("{command:?} ended: {}", child.wait()?).into()),
        }
    }

    /// Starts one that says nothing.
    pub(crate) fn start_silent(mut command: Command) -> Outcome<Self> {
        Ok(Self { child: command.stdin(Stdio::null()).spawn()?, ready: String::new() })
    }

    fn cpu(&self) -> Duration {
        let own = cpu_of(self.child.id());
        // nginx works in children of its own.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let of_children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        own + of_children.map(cpu_of).sum::<Duration>()
    }

    /// The largest resident memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        peak_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// What racers have used, from the start of the first to the end of the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) wall: Duration,
    /// CPU seconds of the racers and of the servers.
    pub(crate) cpu: Duration,
    /// The largest resident memory of one of the racers, in bytes.
    pub(crate) peak_memory: u64,
}

/// Runs commands at once to their ends, all of which must be happy.
pub(crate) fn race(commands: Vec<Command>, servers: &[&Server]) -> Outcome<Used> {
    let served = || servers.iter().map(|server| server.cpu()).sum::<Duration>();
    let before = served();
    let begun = Instant::now();
    let mut racers = Vec::new();
    for mut command in commands {
        let what = format!("{command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{what}: {error}"))?;
        racers.push(thread::spawn(move || watch(child, &what)));
    }
    let mut used = Used::default();
    for racer in racers {
        let (cpu, peak) = racer.join().map_err(|_| "a thread panicked")??;
        used.cpu += cpu;
        used.peak_memory = used.peak_memory.max(peak);
    }
    used.wall = begun.elapsed();
    used.cpu += served().saturating_sub(before);
    Ok(used)
}

/// Waits for the end of a racer; gives its CPU seconds and its largest memory.
fn watch(child: Child, what: &str) -> Result<(Duration, u64), String> {
    let id = child.id();
    let pid = Pid::from_raw(id.cast_signed()).ok_or("no process")?;
    let memory = thread::spawn(move || {
        let mut peak = 0;
        loop {
            match peak_of(id) {
                // It has ended: a process without memory.
                0 if peak > 0 => return peak,
                now => peak = peak.max(now),
            }
            thread::sleep(LOOK_EVERY);
        }
    });
    // It stays to be asked for what it used.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        .map_err(|error| format!("{what}: {error}"))?;
    let cpu = cpu_of(id);
    let output = child.wait_with_output().map_err(|error| format!("{what}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what}: {}\n{said}", output.status));
    }
    Ok((cpu, memory.join().map_err(|_| "a thread panicked")?))
}

/// CPU seconds of a process, its threads all together.
fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its name, in parentheses, may have spaces.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn peak_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
