//! What came of a simulation.

use std::{fmt, time::Duration};

use crate::{clock::Time, peer::Nature, world::World};

/// Everything but `real` and `planning` is the same for the same scenario on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) peers: u32,
    /// Those who have not ended, though they had an hour.
    pub(crate) unfinished: u32,
    /// How long each download took from its own beginning, shortest first.
    pub(crate) times: Vec<Time>,
    /// How many times the seeds together have sent the content.
    pub(crate) copies: f64,
    /// Pieces that came in vain, for each that was needed.
    pub(crate) wasted: f64,
    pub(crate) events: u64,
    /// Calls of the planner for each piece that was needed.
    pub(crate) asked: f64,
    /// The mean real time of such a call.
    pub(crate) planning: Duration,
    /// How long the simulation took.
    pub(crate) real: Duration,
}

impl Outcome {
    pub(crate) fn new(world: &World, real: Duration) -> Self {
        let done = world.nodes.iter().filter(|node| node.nature == Nature::Downloader);
        let mut times: Vec<_> =
            done.filter_map(|node| Some(node.done?.saturating_sub(node.started))).collect();
        times.sort_unstable();
        let held = |nature| {
            let nodes = world.nodes.iter().filter(move |node| node.nature == nature);
            nodes.map(|node| u64::from(node.held.len())).sum::<u64>()
        };
        let needed = held(Nature::Downloader).max(1) as f64;
        let seeds = world.nodes.iter().filter(|node| node.nature == Nature::Seed);
        let sent: u64 = seeds.map(|node| node.sent).sum();
        Self {
            peers: world.scenario.peers,
            unfinished: world.unfinished,
            times,
            copies: sent as f64 / f64::from(world.scenario.pieces),
            wasted: world.wasted as f64 / needed,
            events: world.clock.made(),
            asked: world.asked as f64 / needed,
            planning: Duration::from_secs_f64(
                world.planning.as_secs_f64() / world.asked.max(1) as f64,
            ),
            real,
        }
    }

    /// The time in seconds within which so large a part of the downloads has ended.
    pub(crate) fn within(&self, part: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let at = (part * last as f64).ceil() as usize;
        self.times.get(at).map_or(f64::NAN, |time| *time as f64 / 1e9)
    }

    pub(crate) const HEAD: &str = "  peers      p50      p99      max   seed's copies   in vain   \
                                   planner calls a piece, each     events   real time";
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peers, copies, wasted, asked, events, .. } = self;
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| self.within(part));
        let (wasted, each) = (wasted * 100.0, self.planning.as_secs_f64() * 1e6);
        let (events, real) = (*events as f64 / 1e6, self.real.as_secs_f64());
        write!(
            f,
            "{peers:>7} {p50:>6.1} s {p99:>6.1} s {max:>6.1} s {copies:>15.2} {wasted:>7.1} % \
             {asked:>22.1} {each:>5.1} µs {events:>7.1} M {real:>9.1} s"
        )?;
        if self.unfinished > 0 {
            write!(f, "   {} never ended", self.unfinished)?;
        }
        Ok(())
    }
}
