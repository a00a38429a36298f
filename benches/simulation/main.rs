//! Crowds of 10 to 10,000 peers at one seed, or at five as in Kraken's own test, on lines that are only modelled.
//!
//! `cargo bench --bench simulation [-- --test] [-- --peers N] [-- --pieces N] [-- --grain N] [-- --seed N]
//! [-- crowd honest kraken]`. The planner, its settings, the have-sets, the upload slots and what a source chooses to give are the real ones; sessions,
//! the search for sources and the index are told again here without I/O. Lines out are shared equally by what is sent at the
//! same time, lines in take one piece after another, and each peer has its latency. The same seed gives the same figures
//! on every machine. Who has all goes on serving. What is gained is gathered for up to 25 ms, as real daemons do. Settings
//! that count pieces (the first request, the longest one) are divided by the grain.
//!
//! `--grain N` lets one simulated piece stand for N real ones (rates are divided by it), so that many peers are
//! affordable: unless told otherwise a piece is of 4 MiB here, and of 16 MiB in the data centre. What is coarse is passed on
//! later and chosen by more at once, so real figures are rather better: `--peers 100 --pieces 256 --grain 1` shows it.

mod clock;
mod index;
mod link;
mod outcome;
mod peer;
mod roster;
mod scenario;
mod session;
mod smoke;
mod upload;
mod world;

use std::{
    error::Error,
    io::{self, Write},
};

use p2pshare_benches::is_smoke_run;

use self::{outcome::Outcome, scenario::Scenario, world::World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    // Who waits for an upload slot has a timer; what it does at its end, the model does not look at.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _within = runtime.enter();
    let seed = number_after("--seed").unwrap_or(1);
    if is_smoke_run() {
        return smoke::run(u64::from(seed));
    }
    let pieces = number_after("--pieces").unwrap_or(64);
    let grain = number_after("--grain").unwrap_or(4);
    let sizes = match number_after("--peers") {
        Some(peers) => vec![peers],
        None => vec![10, 100, 1000, 10_000],
    };
    let crowd = |peers| Scenario::crowd(peers, pieces, grain, u64::from(seed));
    if is_chosen("honest") {
        say("nobody lies or leaves:")?;
        race(sizes.iter().map(|peers| crowd(*peers).honest()))?;
    }
    if is_chosen("crowd") {
        say("10 % leave in a minute and others come, 5 % lie:")?;
        race(sizes.iter().map(|peers| crowd(*peers)))?;
    }
    if is_chosen("kraken") {
        let pieces = number_after("--pieces").unwrap_or(179);
        for seeds in [5, 1] {
            say(&format!("a data centre, seeds: {seeds} (Kraken with 5: p50 10 s, p99 18 s):"))?;
            race([Scenario::kraken(seeds, pieces, u64::from(seed))])?;
        }
    }
    Ok(())
}

/// Runs some scenarios and prints a table, with what each tenfold crowd costs.
fn race(scenarios: impl IntoIterator<Item = Scenario>) -> Result<(), Box<dyn Error>> {
    let mut before: Option<Outcome> = None;
    for scenario in scenarios {
        if before.is_none() {
            let (bytes, pieces) = (scenario.bytes() / 1e6, scenario.pieces);
            let each = bytes / f64::from(pieces);
            let up = scenario.seed_line.up / 1e6;
            say(&format!(
                "  {bytes:.0} MB in {pieces} pieces of {each:.1} MB; the seed sends {up:.0} MB/s, {:.1} s for a copy",
                bytes / up
            ))?;
            say(Outcome::HEAD)?;
        }
        let outcome = World::run(scenario)?;
        say(&outcome.to_string())?;
        if let Some(before) = before {
            let tenfolds = (f64::from(outcome.peers) / f64::from(before.peers)).log10();
            let more =
                [0.5, 0.99].map(|part| (outcome.within(part) - before.within(part)) / tenfolds);
            say(&format!("     a tenfold costs {:+.1} s {:+7.1} s", more[0], more[1]))?;
        }
        before = Some(outcome);
    }
    Ok(())
}

fn is_chosen(part: &str) -> bool {
    let parts = ["crowd", "honest", "kraken"];
    let none = !std::env::args().any(|argument| parts.contains(&argument.as_str()));
    none || std::env::args().any(|argument| argument == part)
}

fn number_after(name: &str) -> Option<u32> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
