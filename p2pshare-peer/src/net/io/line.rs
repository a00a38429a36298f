//! How fast a line carries away what is written.

use std::time::Duration;

use tokio::time::Instant;

/// Shorter slices would be mostly overhead: this is a record of TLS.
const SHORTEST: usize = 16 << 10;

/// As long as what is read from a file at a time.
const LONGEST: usize = 256 << 10;

/// What one slice should take: those of many transfers go by turns.
const TIME: Duration = Duration::from_millis(25);

/// The speed is known once the socket was full for so long,
const ENOUGH_TIME: Duration = Duration::from_millis(100);
/// or has taken so much, which is more than its buffer.
const ENOUGH_BYTES: u64 = 4 << 20;

/// How long the slices should be in which contents are written to a connection.
///
/// HTTP/2 makes a frame of each slice, and the other end gives a frame on when all of it has come; whatever else is said
/// on the connection waits behind it. On a slow line that many transfers share, long ones would let nothing seem to come
/// for minutes. On a fast one they are long, for each costs something.
#[derive(Debug)]
pub(super) struct Line {
    slice: usize,
    /// Since when the socket is full.
    full_since: Option<Instant>,
    /// What it has taken since the last judgement, and how long it was full.
    bytes: u64,
    full: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self { slice: SHORTEST, full_since: None, bytes: 0, full: Duration::ZERO }
    }
}

impl Line {
    /// How long a slice should be, in bytes.
    pub(super) fn slice(&self) -> usize {
        self.slice
    }

    /// The socket takes nothing.
    pub(super) fn full(&mut self) {
        self.full_since.get_or_insert_with(Instant::now);
    }

    /// The socket took something.
    pub(super) fn took(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if let Some(since) = self.full_since.take() {
            self.full += since.elapsed();
        }
        if self.full < ENOUGH_TIME && self.bytes < ENOUGH_BYTES {
            return;
        }
        let full = self.full.max(Duration::from_millis(1));
        let slice = self.bytes as f64 * TIME.as_secs_f64() / full.as_secs_f64();
        self.slice = (slice as usize).clamp(SHORTEST, LONGEST);
        (self.bytes, self.full) = (0, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Writes over a line that carries so many bytes a second, behind a buffer that is so large.
    async fn write(line: &mut Line, bytes: usize, speed: usize, buffer: usize) {
        let (mut rest, mut room) = (bytes, buffer);
        while rest > 0 {
            let part = line.slice().min(rest);
            let mut left = part;
            while left > 0 {
                let now = left.min(room);
                if now == 0 {
                    line.full();
                    // A third of it is free before the system says so.
                    room = (buffer / 3).max(1);
                    advance(Duration::from_secs_f64(room as f64 / speed as f64)).await;
                    continue;
                }
                line.took(now);
                (left, room) = (left - now, room - now);
            }
            rest -= part;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slices_are_as_long_as_the_line_is_fast() {
        for buffer in [100 << 10, 1 << 20] {
            let mut line = Line::default();
            assert_eq!(line.slice(), SHORTEST);
            // What goes into the buffer says nothing.
            write(&mut line, buffer, 1 << 40, buffer).await;
            assert_eq!(line.slice(), SHORTEST);
            write(&mut line, 8 << 20, 1 << 30, buffer).await;
            assert_eq!(line.slice(), LONGEST);
            write(&mut line, 2 << 20, 50 << 10, buffer).await;
            assert_eq!(line.slice(), SHORTEST);
            write(&mut line, 16 << 20, 4 << 20, buffer).await;
            let between = line.slice();
            assert!((64 << 10..=160 << 10).contains(&between), "{between}, {buffer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_little_to_send_is_not_taken_for_slow() {
        let mut line = Line::default();
        for _ in 0..10_000 {
            line.took(1000);
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(line.slice(), LONGEST);
    }
}
