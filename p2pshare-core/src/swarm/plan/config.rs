//! What the planner can be told.

use std::time::Duration;

use crate::time::AGES;

/// The planner's settings. The defaults are good for anything from a slow line to loopback.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannerConfig {
    /// How long a source should be busy with what it is asked for at once.
    pub run_time: Duration,
    /// The same for a source that has everything while others are known who download too. What they have asked it for is
    /// not known before they have it: the less everyone asks for at once, the less of it is the same.
    pub swarm_run_time: Duration,
    /// How many pieces a source is asked for while its speed is not known.
    pub first_run: u32,
    /// The most pieces that a source is asked for at once.
    pub max_run: u32,
    /// How many pieces a source is told at most that would do as well as those it is asked for.
    pub max_others: u32,
    /// A source so many times slower in delivering a piece loses it once nothing else is left.
    pub steal_factor: f64,
    /// A source so many times slower loses pieces even before that, when it holds them for longer than it should.
    pub early_steal_factor: f64,
    /// How many sources may fetch the same piece in the endgame.
    pub max_copies: usize,
    /// What is not faster by this much is not worth a second request.
    pub min_gain: Duration,
    /// The pause after the first failure of a source. It doubles with every further one.
    pub first_backoff: Duration,
    /// The longest pause after failures.
    pub max_backoff: Duration,
    /// How soon a source that has nothing to do asks again, in case that others have become slower.
    pub recheck: Duration,
}

impl Default for PlannerConfig {
    fn default() -> Self {
        Self {
            run_time: Duration::from_secs(1),
            swarm_run_time: Duration::from_millis(300),
            first_run: 4,
            max_run: 64,
            max_others: 512,
            steal_factor: 3.0,
            early_steal_factor: 10.0,
            max_copies: 3,
            min_gain: Duration::from_millis(20),
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(30),
            recheck: Duration::from_millis(200),
        }
    }
}

impl PlannerConfig {
    /// The pause after so many failures in a row, before jitter.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let pause = self.first_backoff.saturating_mul(1 << doublings);
        pause.min(self.longest_backoff())
    }

    /// The longest pause, before jitter: short enough to be made longer by that.
    pub(super) fn longest_backoff(&self) -> Duration {
        self.max_backoff.min(AGES)
    }
}
