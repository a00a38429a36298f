//! How long the slices are in which messages are handed on.

use std::time::Duration;

use tokio::time::Instant;

/// A shorter slice would be mostly overhead: it is as long as a record of TLS.
const SHORTEST: usize = 16 << 10;

/// As long as a message can be.
const LONGEST: usize = 1 << 20;

/// What goes into buffers before it is seen how fast the line is, in bytes.
const BUFFERED: usize = 512 << 10;

/// How many slices are looked at together: buffers make room for several at once.
const ROUND: u32 = 4;

/// A slice that takes less is too short, one that takes more is too long.
const TIMES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));

/// How long the next slice may be.
///
/// HTTP/2 makes a frame of each slice, and the other end gives a frame on when all of it has come; what is said
/// meanwhile in other calls waits behind it. On a slow line that many transfers share slices must be short, or nothing
/// seems to come for minutes. On a fast one they are long: each costs something.
#[derive(Debug)]
pub(super) struct SliceLen {
    len: usize,
    /// How many bytes are still to go into buffers.
    unseen: usize,
    handed_on: Option<Instant>,
    /// What this round has waited, and handed on.
    waited: Duration,
    bytes: usize,
}

impl Default for SliceLen {
    fn default() -> Self {
        Self { len: SHORTEST, unseen: BUFFERED, handed_on: None, waited: Duration::ZERO, bytes: 0 }
    }
}

impl SliceLen {
    /// The last slice was taken, if there was one, and there is room for the next.
    pub(super) fn taken(&mut self) {
        let Some(handed_on) = self.handed_on.take() else { return };
        self.waited += handed_on.elapsed();
        if self.bytes < self.len * ROUND as usize {
            return;
        }
        match (self.waited / ROUND, self.unseen) {
            (_, 1..) => {}
            (time, 0) if time < TIMES.0 => self.len = (self.len * 2).min(LONGEST),
            (time, 0) if time > TIMES.1 => self.len = (self.len / 2).max(SHORTEST),
            _ => {}
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
    }

    /// How long the next slice may be, in bytes.
    pub(super) fn get(&self) -> usize {
        self.len
    }

    /// A slice was handed on.
    pub(super) fn handed_on(&mut self, len: usize) {
        self.handed_on = Some(Instant::now());
        self.unseen = self.unseen.saturating_sub(len);
        self.bytes += len;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Hands on so many bytes over a line that takes so many a second. Before it is a buffer of that length, which makes
    /// room for one slice at a time.
    async fn send(slices: &mut SliceLen, bytes: usize, speed: usize, buffer: usize) {
        let (mut rest, mut waiting) = (bytes, std::collections::VecDeque::new());
        while rest > 0 {
            slices.taken();
            let len = slices.get().min(rest);
            rest -= len;
            slices.handed_on(len);
            waiting.push_back(len);
            while waiting.iter().sum::<usize>() >= buffer.max(1) {
                let first: usize = waiting.pop_front().unwrap_or_default();
                advance(Duration::from_secs_f64(first as f64 / speed as f64)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slices_grow_with_the_speed_and_shrink_with_it() {
        for buffer in [0, 256 << 10] {
            let mut slices = SliceLen::default();
            send(&mut slices, BUFFERED, 1 << 40, buffer).await;
            assert_eq!(slices.get(), SHORTEST);
            send(&mut slices, 8 << 20, 1 << 30, buffer).await;
            assert_eq!(slices.get(), LONGEST);
            send(&mut slices, 64 << 20, 10 << 10, buffer).await;
            assert_eq!(slices.get(), SHORTEST);
            send(&mut slices, 64 << 20, 1 << 20, buffer).await;
            let between = slices.get();
            assert!((32 << 10..=256 << 10).contains(&between), "{between}, {buffer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sender_has_no_shorter_slices() {
        let mut slices = SliceLen::default();
        for _ in 0..1000 {
            slices.taken();
            // Nothing is there for long.
            advance(Duration::from_secs(1)).await;
            let len = slices.get();
            slices.handed_on(len);
        }
        assert_eq!(slices.get(), LONGEST);
    }
}
