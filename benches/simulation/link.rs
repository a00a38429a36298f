//! Lines that are shared fairly.

use p2pshare_core::content::PIECE_LEN;

use crate::clock::{Time, UploadId};

/// A line out: what is sent at the same time gets equal parts of it, exactly.
///
/// It counts the bytes that each of the pieces under way has got since the beginning (they all get the same), so an event
/// costs no more than there are slots.
pub(crate) struct Uplink {
    /// Bytes a nanosecond.
    rate: f64,
    /// What a piece that had been under way all the time would have got.
    given: f64,
    /// When that was so.
    at: Time,
    /// What is sent, and when it is through as `given` counts.
    pieces: Vec<(f64, UploadId)>,
    /// Changes with every piece that begins or ends.
    pub(crate) version: u64,
}

impl Uplink {
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate, given: 0.0, at: 0, pieces: Vec::new(), version: 0 }
    }

    pub(crate) fn begin(&mut self, upload: UploadId, now: Time) {
        self.advance(now);
        self.pieces.push((self.given + PIECE_LEN as f64, upload));
    }

    /// Breaks a piece off, if it is under way.
    pub(crate) fn stop(&mut self, upload: UploadId, now: Time) {
        self.advance(now);
        self.pieces.retain(|(_, other)| *other != upload);
    }

    /// Takes the piece that is through first.
    pub(crate) fn end(&mut self, now: Time) -> Option<UploadId> {
        self.advance(now);
        let first = self.first()?;
        Some(self.pieces.swap_remove(first).1)
    }

    /// When the next piece is through, if nothing changes.
    pub(crate) fn next(&self) -> Option<Time> {
        let (until, _) = self.pieces.get(self.first()?)?;
        let left = (until - self.given).max(0.0) * self.pieces.len() as f64;
        Some(self.at.saturating_add((left / self.rate).ceil() as Time))
    }

    fn first(&self) -> Option<usize> {
        let ends = self.pieces.iter().enumerate();
        ends.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0)).map(|(at, _)| at)
    }

    fn advance(&mut self, now: Time) {
        let elapsed = now.saturating_sub(self.at) as f64;
        self.given += elapsed * self.rate / self.pieces.len().max(1) as f64;
        self.at = now;
        self.version += 1;
    }
}

/// A line in: one piece after another, each at the full rate. What came slowly takes the place of the time in which it
/// came, so a line that is not full delays nothing.
pub(crate) struct Downlink {
    piece: Time,
    free_at: Time,
}

impl Downlink {
    pub(crate) fn new(rate: f64) -> Self {
        Self { piece: (PIECE_LEN as f64 / rate) as Time, free_at: 0 }
    }

    /// When a piece is in that its sender has just sent.
    pub(crate) fn take(&mut self, now: Time) -> Time {
        self.free_at = self.free_at.max(now.saturating_sub(self.piece)) + self.piece;
        self.free_at
    }
}
