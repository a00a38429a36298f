//! What the planner knows of one source.

use std::{collections::VecDeque, time::Duration};

use super::{bitmap::Bitmap, speed::SpeedMeter};
use crate::content::{PIECE_LEN, PieceIndex};

/// One source that has joined.
#[derive(Debug)]
pub(super) struct Source {
    /// What it has, `None`: everything.
    pub(super) have: Option<Bitmap>,
    /// What is assigned to it, in the order in which it will come.
    pub(super) queue: VecDeque<Order>,
    /// Bytes that have come of pieces in the queue.
    pub(super) unverified: u64,
    pub(super) meter: SpeedMeter,
    /// It has put the request into its own queue.
    pub(super) waiting: bool,
    /// Failures since the last piece.
    pub(super) failures: u32,
    /// It is left alone until then.
    pub(super) retry_at: Duration,
}

/// A piece that a source is to deliver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) piece: PieceIndex,
    /// When it was assigned.
    pub(super) since: Duration,
    /// It was taken from another source.
    pub(super) stolen: bool,
}

impl Source {
    pub(super) fn new(have: Option<Bitmap>) -> Self {
        Self {
            have,
            queue: VecDeque::new(),
            unverified: 0,
            meter: SpeedMeter::default(),
            waiting: false,
            failures: 0,
            retry_at: Duration::ZERO,
        }
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.have.as_ref().is_none_or(|have| have.contains(piece))
    }

    pub(super) fn push(&mut self, order: Order) {
        self.meter.start(order.since);
        self.queue.push_back(order);
    }

    /// Takes a piece out of the queue. False when it was not in.
    pub(super) fn remove(&mut self, piece: PieceIndex, now: Duration) -> bool {
        let Some(at) = self.queue.iter().position(|order| order.piece == piece) else {
            return false;
        };
        self.queue.remove(at);
        if self.queue.is_empty() {
            self.idle(now);
        }
        true
    }

    /// Nothing is asked of it any more.
    pub(super) fn idle(&mut self, now: Duration) {
        self.queue.clear();
        self.unverified = 0;
        self.waiting = false;
        self.meter.stop(now);
    }

    /// How many pieces at the front of the queue cannot be taken away: those that have come, and the one that comes.
    pub(super) fn begun(&self) -> usize {
        usize::try_from(self.unverified / PIECE_LEN)
            .map_or(usize::MAX, |whole| whole.saturating_add(1))
    }

    /// Seconds until this source will have delivered the piece at place `at` of its queue, or, beyond the end of the
    /// queue, that piece if it were appended. Infinite while it is silent.
    pub(super) fn eta(&self, at: usize, now: Duration, typical_speed: f64) -> f64 {
        if self.waiting {
            return f64::INFINITY;
        }
        let speed = self.meter.estimate(now).unwrap_or(typical_speed);
        let bytes = (at as u64).saturating_add(1).saturating_mul(PIECE_LEN);
        let bytes = bytes.saturating_sub(self.unverified);
        if speed <= 0.0 {
            return f64::INFINITY;
        }
        bytes as f64 / speed
    }
}
