//! A crowd at one seed, and several slow sources with liars among them.
//!
//! `cargo bench --bench swarm [-- --test] [-- --mib N] [-- crowd four faults]`. Every line carries 40 MB/s, so the times say
//! how well the lines are used, not how fast the machine is. The crowd is of whole processes, as users start them: an
//! index, a seed and eight times `get`. Files are where `TMPDIR` says.

mod crowd;
mod sources;

use std::{
    error::Error,
    fs::File,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use p2pshare_benches::is_smoke_run;
use p2pshare_core::content::PIECE_LEN;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What each line carries, in bytes a second.
const LINE: u64 = 40_000_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if let Some(code) = crowd::program() {
        std::process::exit(code);
    }
    let pieces = if is_smoke_run() { 16 } else { number_after("--mib").unwrap_or(191) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film");
    write_noise(&file, pieces)?;
    let len = pieces * PIECE_LEN;
    say(&format!("{} MB, lines of {} MB/s", len / 1_000_000, LINE / 1_000_000))?;
    if is_chosen("crowd") {
        crowd::race(&file, folder.path())?;
    }
    if is_chosen("four") {
        sources::honest(&file, folder.path())?;
    }
    if is_chosen("faults") {
        sources::faulty(&file, folder.path())?;
    }
    Ok(())
}

fn is_chosen(part: &str) -> bool {
    let parts = ["crowd", "four", "faults"];
    let none = !std::env::args().any(|argument| parts.contains(&argument.as_str()));
    none || std::env::args().any(|argument| argument == part)
}

fn number_after(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

/// A figure and what it should be.
fn report(what: &str, figure: f64, aim: &str) -> io::Result<()> {
    say(&format!("  {what:<52} {figure:>8.2}   (aim: {aim})"))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Bytes that do not repeat.
fn write_noise(path: &Path, pieces: u64) -> io::Result<()> {
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut file = File::create(path)?;
    let mut piece = vec![0; 1 << 20];
    for _ in 0..pieces {
        noise.fill(&mut piece);
        file.write_all(&piece)?;
    }
    Ok(())
}
