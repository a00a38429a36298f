//! Whole programs against each other, over loopback: `get` from start to exit beside curl from nginx over HTTPS, aria2
//! from four nginx, and a bare TCP copy.
//!
//! `cargo bench --bench race [-- NAME ...]`, where the names are those of the races: `one`, `sources`, `downloaders`,
//! `small`, `tiny`, `huge`. Nobody syncs what was written. Racers run in turn, forth and back, so that what else
//! the machine does is shared. As root, all get a congestion control that does not pace; it is put back at the end. Files
//! are where `TMPDIR` says.
//!
//! A virtual machine that gives free memory back to its host (`/sys/module/page_reporting`) gets it again slowly, and whoever
//! needs most pays most: with four downloaders at once that was up to a third of the time, and the bare copy, which writes a
//! megabyte at a time, took seven times as long. What is compared with it says little there.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod community;
mod process;
mod programs;
mod races;
mod web;

use std::{error::Error, fs, net::TcpListener, path::Path, time::Duration};

use p2pshare_benches::{congestion, copy, is_smoke_run, median};
use process::Used;
use programs::Programs;

type Outcome<T> = Result<T, Box<dyn Error>>;

const RUNS: usize = 5;

/// In this variable the near or far end of a TCP copy finds what it is to do.
const COPY: &str = "P2PSHARE_RACE_COPY";

fn main() -> Outcome<()> {
    if let Some(task) = std::env::var_os(COPY) {
        return copy_end(&task.to_string_lossy());
    }
    let chosen: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let programs = Programs::build()?;
    let _congestion = SystemCongestion::choose();
    println!("congestion control of all: {}", SystemCongestion::now());
    for (name, race) in races::ALL {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            let folder = tempfile::tempdir()?;
            race(&programs, folder.path())?;
        }
    }
    Ok(())
}

/// One end of the copy that is the yardstick: `send PATH`, or `receive PORT PATH`.
fn copy_end(task: &str) -> Outcome<()> {
    match task.splitn(3, ' ').collect::<Vec<_>>()[..] {
        ["send", path] => {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            println!("port {}", listener.local_addr()?.port());
            copy::serve(&listener, Path::new(path))?;
        }
        ["receive", port, path] => {
            copy::receive(congestion::connect(port.parse()?)?, Path::new(path))?;
        }
        _ => return Err("no such end of a copy".into()),
    }
    Ok(())
}

/// One who races: what it is called, and one run of it.
type Racer<'a> = (&'a str, Box<dyn Fn() -> Outcome<Used> + 'a>);

/// Lets all race in turn and prints a table. Each has `bytes` to carry.
fn contest(title: &str, bytes: u64, racers: &[Racer<'_>]) -> Outcome<()> {
    let runs = if is_smoke_run() { 1 } else { RUNS };
    let mut results = vec![Vec::new(); racers.len()];
    // The first round is for warming up: the first touch of memory, of the processor's clock, of the file system.
    for round in usize::from(is_smoke_run())..=runs {
        let mut order: Vec<_> = racers.iter().zip(&mut results).collect();
        // Forth and back: what one leaves behind, free memory above all, is not always the same one's to find.
        if round % 2 > 0 {
            order.reverse();
        }
        for ((_, run), results) in order {
            let used = run()?;
            if round > 0 {
                results.push(used);
            }
        }
    }
    println!("\n{title}, median of {runs}");
    println!(
        "{:<16} {:>9} {:>9} {:>9} {:>11} {:>9}",
        "", "s", "MB/s", "CPU s", "x the first", "peak MiB"
    );
    let mut first = None;
    for ((name, _), results) in racers.iter().zip(&results) {
        let middle = |of: fn(&Used) -> Duration| {
            median(&mut results.iter().map(of).collect::<Vec<_>>()).as_secs_f64()
        };
        let (wall, cpu) = (middle(|used| used.wall), middle(|used| used.cpu));
        let peak = results.iter().map(|used| used.peak_memory).max().unwrap_or(0) >> 20;
        let ratio = wall / *first.get_or_insert(wall);
        let rate = bytes as f64 / 1e6 / wall;
        println!("{name:<16} {wall:>9.3} {rate:>9.0} {cpu:>9.2} {ratio:>11.2} {peak:>9}");
    }
    Ok(())
}

/// The congestion control of new sockets of the whole system, put back when this is dropped.
struct SystemCongestion(Option<String>);

impl SystemCongestion {
    const FILE: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

    fn choose() -> Self {
        let before = fs::read_to_string(Self::FILE).ok();
        // Who may not do that races with what there is.
        let changed = fs::write(Self::FILE, congestion::name()).is_ok();
        Self(before.filter(|_| changed))
    }

    fn now() -> String {
        fs::read_to_string(Self::FILE).map_or("unknown".to_owned(), |name| name.trim().to_owned())
    }
}

impl Drop for SystemCongestion {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = fs::write(Self::FILE, before);
        }
    }
}
