//! What the planner knows of one source.

use std::{collections::VecDeque, time::Duration};

use super::{bitmap::Bitmap, speed::SpeedMeter};
use crate::content::{PIECE_LEN, PieceIndex};

/// A piece that comes by less later than it should, in seconds, is not late.
const LATE: f64 = 1.0;

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
    /// The piece that comes, once some of it has.
    pub(super) coming: Option<Coming>,
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

/// A piece of which some bytes have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    since: Duration,
    /// How many seconds it should take at the speed that the source had then, if that was known.
    expected: Option<f64>,
}

impl Source {
    pub(super) fn new(have: Option<Bitmap>) -> Self {
        Self {
            have,
            queue: VecDeque::new(),
            unverified: 0,
            meter: SpeedMeter::default(),
            coming: None,
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

    /// Bytes have come.
    pub(super) fn receive(&mut self, bytes: u64, now: Duration) {
        // Not as silence has lowered it: that is no measure of how long a piece takes.
        let speed = self.meter.mean().filter(|speed| *speed > 0.0);
        let before = self.unverified / PIECE_LEN;
        self.meter.add(bytes, now);
        self.unverified = self.unverified.saturating_add(bytes);
        if self.unverified / PIECE_LEN > before {
            self.coming = None;
        }
        if !self.unverified.is_multiple_of(PIECE_LEN) {
            let expected = speed.map(|speed| PIECE_LEN as f64 / speed);
            self.coming.get_or_insert(Coming { since: now, expected });
        }
    }

    /// So many of the bytes that have come are verified, or were dropped.
    pub(super) fn settle(&mut self, bytes: u64) {
        self.unverified = self.unverified.saturating_sub(bytes);
        if self.unverified.is_multiple_of(PIECE_LEN) {
            self.coming = None;
        }
    }

    /// It has put the request into its queue, and delivers nothing for now.
    pub(super) fn wait(&mut self, now: Duration) {
        self.waiting = true;
        self.coming = None;
        self.meter.restart(now);
    }

    /// Nothing is asked of it any more.
    pub(super) fn idle(&mut self, now: Duration) {
        self.queue.clear();
        self.unverified = 0;
        self.coming = None;
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
        let eta = bytes as f64 / speed;
        match bytes {
            0 => eta,
            _ => eta.max(self.late(now, typical_speed)),
        }
    }

    /// For how many seconds the piece that comes has been late, 0 unless that is long. It is likely to be late for as long
    /// again, however few bytes are missing: those who keep back the last ones would else keep the piece.
    fn late(&self, now: Duration, typical_speed: f64) -> f64 {
        let Some(Coming { since, expected }) = self.coming else {
            return 0.0;
        };
        let expected = expected.unwrap_or(PIECE_LEN as f64 / typical_speed);
        let late = now.saturating_sub(since).as_secs_f64() - expected;
        if late > expected.max(LATE) { late } else { 0.0 }
    }
}
