//! A download that has begun: it runs, or waits to be tried again.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{ManagerOptions, verdict::Reason, work::Attempt};
use crate::meter::Meter;

/// A download that has begun.
pub(super) struct Live {
    phase: Phase,
    /// Attempts that ended without anything new.
    attempts: u32,
    meter: Meter,
    /// Why it waited the last time.
    reason: Option<Reason>,
    folder: Folder,
}

/// What is known of the folder of a download that has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folder {
    /// It was there, or was not looked at.
    There,
    /// It was not, which is told.
    Gone,
    /// Somebody who could see that asks for the download all the same: it is to be made again.
    Wanted,
}

enum Phase {
    Runs {
        attempt: Arc<Attempt>,
        cancel: CancellationToken,
        /// Closed once nothing of it runs any more.
        ended: watch::Receiver<()>,
    },
    Waits {
        until: Instant,
    },
}

/// What is to be seen of a download that has begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// What runs of it.
    pub(super) attempt: Option<Arc<Attempt>>,
    pub(super) rate: u64,
    /// How long nothing has come, once that is no longer usual.
    pub(super) stalled: Option<Duration>,
    /// Why it waits, or did before this attempt.
    pub(super) reason: Option<Reason>,
}

impl Live {
    /// One that is to go on at once.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Waits { until: Instant::now() },
            attempts: 0,
            meter: Meter::default(),
            reason: None,
            folder: Folder::There,
        }
    }

    /// Until when it waits; `None`: it runs.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Runs { .. } => None,
            Phase::Waits { until } => Some(*until),
        }
    }

    /// Whether the attempt before ended without anything new.
    pub(super) fn is_tried_again(&self) -> bool {
        self.attempts > 0
    }

    /// Whether its folder, which is gone, is to be made again.
    pub(super) fn makes_folder(&self) -> bool {
        self.folder == Folder::Wanted
    }

    /// What ends it if it runs, and what is closed then.
    pub(super) fn running(&self) -> Option<(CancellationToken, watch::Receiver<()>)> {
        match &self.phase {
            Phase::Runs { cancel, ended, .. } => Some((cancel.clone(), ended.clone())),
            Phase::Waits { .. } => None,
        }
    }

    pub(super) fn look(&self) -> Look {
        match &self.phase {
            Phase::Runs { attempt, .. } => {
                let stalled = self.meter.stalled(Instant::now());
                Look {
                    attempt: Some(attempt.clone()),
                    rate: if stalled.is_some() { 0 } else { self.meter.rate() },
                    stalled,
                    reason: self.reason.clone(),
                }
            }
            Phase::Waits { .. } => Look { reason: self.reason.clone(), ..Look::default() },
        }
    }

    pub(super) fn run(
        &mut self,
        attempt: Arc<Attempt>,
        cancel: CancellationToken,
        ended: watch::Receiver<()>,
    ) {
        self.phase = Phase::Runs { attempt, cancel, ended };
        self.meter = Meter::default();
    }

    /// One that waits is due now.
    pub(super) fn hurry(&mut self) {
        if let Phase::Waits { until } = &mut self.phase {
            *until = Instant::now();
        }
    }

    /// Its folder is to be made again if that is what it waits for.
    pub(super) fn want_folder(&mut self) {
        if self.folder == Folder::Gone {
            self.folder = Folder::Wanted;
        }
    }

    /// Why it waited is of no interest any more.
    pub(super) fn forget_reason(&mut self) {
        self.reason = None;
    }

    /// Its attempt has ended, and it waits for this.
    pub(super) fn wait(&mut self, reason: Reason, options: &ManagerOptions) {
        // It may have ended before it was measured.
        self.note_gain();
        self.folder = Folder::There;
        self.pause(reason, options);
    }

    /// The same for one that waits for its folder.
    pub(super) fn wait_for_folder(&mut self, reason: Reason, options: &ManagerOptions) {
        self.folder = Folder::Gone;
        self.pause(reason, options);
    }

    fn pause(&mut self, reason: Reason, options: &ManagerOptions) {
        let doublings = self.attempts.min(20);
        let pause = options.first_retry.saturating_mul(1 << doublings).min(options.longest_retry);
        self.attempts += 1;
        self.reason = Some(reason);
        self.phase = Phase::Waits { until: Instant::now() + pause };
    }

    /// Measures what runs of it, and says whether something else is to be seen of it since.
    pub(super) fn measure(&mut self, now: Instant) -> bool {
        let Phase::Runs { attempt, .. } = &self.phase else { return false };
        let before = self.meter.rate();
        let moved = attempt.progress.moved();
        self.meter.note(moved, now);
        let cleared = self.note_gain();
        cleared || self.meter.rate() > 0 || before > 0 || self.meter.stalled(now).is_some()
    }

    /// Once something new has come, whatever kept it waiting is over. Says whether it told why it waited until now.
    fn note_gain(&mut self) -> bool {
        match &self.phase {
            Phase::Runs { attempt, .. } if attempt.has_gained() => {
                self.attempts = 0;
                self.reason.take().is_some()
            }
            _ => false,
        }
    }
}
