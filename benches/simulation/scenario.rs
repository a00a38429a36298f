//! What is simulated.

use std::time::Duration;

use p2pshare_core::{content::PIECE_LEN, swarm::DownloadOptions};

/// A line's two rates, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) up: f64,
    pub(crate) down: f64,
}

/// One crowd at one seed.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Peers besides the seed. Liars are among them.
    pub(crate) peers: u32,
    /// Those who have the content from the beginning.
    pub(crate) seeds: u32,
    /// How many pieces the content has.
    pub(crate) pieces: u32,
    /// A simulated piece stands for so many real ones: rates are divided by it.
    pub(crate) grain: f64,
    pub(crate) seed_line: Line,
    /// A peer has one of these, each as likely as the others.
    pub(crate) lines: Vec<Line>,
    /// One way to anybody else, in milliseconds: a peer has one within.
    pub(crate) latency: (u64, u64),
    /// All come within this time.
    pub(crate) rush: Duration,
    /// The share of the peers that vanish in a minute; for each a new one comes.
    pub(crate) churn: f64,
    /// The share of the peers that say that they have everything, and send something else.
    pub(crate) liars: f64,
    /// Uploads at a time.
    pub(crate) slots: usize,
    /// How the downloaders are set up: as in real life.
    pub(crate) options: DownloadOptions,
    pub(crate) seed: u64,
}

const MB: f64 = 1e6;

impl Scenario {
    /// Homes and offices: lines of 10 to 40 MB/s up and 80 MB/s down, 10 to 100 ms to each other and back.
    pub(crate) fn crowd(peers: u32, pieces: u32, grain: u32, seed: u64) -> Self {
        let line = |up: f64| Line { up: up * MB, down: 80.0 * MB };
        Self {
            peers,
            seeds: 1,
            pieces,
            grain: f64::from(grain),
            seed_line: line(40.0),
            lines: vec![line(10.0), line(20.0), line(40.0)],
            latency: (5, 50),
            rush: Duration::from_millis(500),
            churn: 0.1,
            liars: 0.05,
            slots: 8,
            options: options(f64::from(grain)),
            seed,
        }
    }

    /// What Kraken tells of: 3 GB to 2,600 hosts of a data centre, 300 MB/s each. It has five seeds there.
    pub(crate) fn kraken(seeds: u32, pieces: u32, seed: u64) -> Self {
        let line = Line { up: 300.0 * MB, down: 300.0 * MB };
        let grain = 3000.0 * MB / (f64::from(pieces) * PIECE_LEN as f64);
        Self {
            seeds,
            grain,
            options: options(grain),
            seed_line: line,
            lines: vec![line],
            latency: (0, 1),
            rush: Duration::from_millis(100),
            churn: 0.0,
            liars: 0.0,
            ..Self::crowd(2600, pieces, 1, seed)
        }
    }

    /// The same without churn and liars.
    pub(crate) fn honest(self) -> Self {
        Self { churn: 0.0, liars: 0.0, ..self }
    }

    /// The content's length in real bytes.
    pub(crate) fn bytes(&self) -> f64 {
        f64::from(self.pieces) * PIECE_LEN as f64 * self.grain
    }

    /// A rate in simulated bytes a nanosecond.
    pub(crate) fn scaled(&self, rate: f64) -> f64 {
        rate / self.grain / 1e9
    }
}

/// As in real life; what is counted in pieces is counted in those of the simulation.
fn options(grain: f64) -> DownloadOptions {
    let mut options = DownloadOptions::default();
    let planner = &mut options.planner;
    for count in [&mut planner.first_run, &mut planner.max_run, &mut planner.max_others] {
        *count = (f64::from(*count) / grain).ceil() as u32;
    }
    options
}
