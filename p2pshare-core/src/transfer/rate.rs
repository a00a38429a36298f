//! Limiting the rate of bytes.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep},
};

use super::{FetchEvent, Segment, SegmentStream, TransferError};

/// How much may be saved up while nothing is taken: 150 ms worth of bytes.
///
/// So in any second at most 1.15 times the rate passes, and what a waiter loses by waking up late (timers have a
/// grain of 1 ms, threads are busy) is made up for.
const BURST: Duration = Duration::from_millis(150);

/// Bytes are let through in parts of at most 1/20 of a second, so that what is saved up never overflows while somebody
/// waits for the next part.
const PARTS_A_SECOND: u64 = 20;

const NANOS: u128 = 1_000_000_000;

/// A limit in bytes per second, shared by all that hold a clone of it; none unless it is set.
///
/// A token bucket. Those who wait are served in turn, part by part, so none starves. On average nothing below the
/// limit is lost, and in no second more than 1.2 times the limit passes.
#[derive(Clone, Debug)]
pub struct RateLimit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rate: watch::Sender<Option<NonZeroU64>>,
    /// Held by the one whose turn it is, also while he waits.
    bucket: Mutex<Bucket>,
}

impl RateLimit {
    /// A limit of so many bytes per second, `None` for no limit.
    #[must_use]
    pub fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self {
            inner: Arc::new(Inner {
                rate: watch::Sender::new(bytes_per_second),
                bucket: Mutex::new(Bucket { tokens: 0, filled_at: Instant::now() }),
            }),
        }
    }

    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(None)
    }

    /// Changes the limit, at once, also for those who wait.
    pub fn set(&self, bytes_per_second: Option<NonZeroU64>) {
        self.inner.rate.send_replace(bytes_per_second);
    }

    /// The limit in bytes per second.
    #[must_use]
    pub fn bytes_per_second(&self) -> Option<NonZeroU64> {
        *self.inner.rate.borrow()
    }

    /// Waits until all these bytes may pass.
    ///
    /// Cancellation: bytes that were waited for already are used up, at most those asked for.
    pub async fn take(&self, bytes: u64) {
        let mut left = bytes;
        while left > 0 {
            left = left.saturating_sub(self.take_some(left).await);
        }
    }

    /// Waits until some of these bytes may pass, and says how many: all without a limit, else at most 1/20 of a
    /// second's, at least one. 0 only when asked for 0.
    ///
    /// Cancellation: dropping the future takes nothing.
    pub async fn take_some(&self, bytes: u64) -> u64 {
        if bytes == 0 || self.bytes_per_second().is_none() {
            return bytes;
        }
        let mut rate = self.inner.rate.subscribe();
        let mut bucket = self.inner.bucket.lock().await;
        loop {
            let Some(limit) = *rate.borrow_and_update() else {
                return bytes;
            };
            let part = bytes.min(limit.get() / PARTS_A_SECOND).max(1);
            let Some(wait) = bucket.take(limit, part, Instant::now()) else {
                return part;
            };
            tokio::select! {
                () = sleep(wait) => {}
                // The sender lives as long as `self`, so this is always a change.
                _ = rate.changed() => {}
            }
        }
    }

    /// The stream at this rate: its segments are held back and, where they are too long for a slow rate, cut.
    #[must_use]
    pub fn throttle(&self, stream: SegmentStream) -> SegmentStream {
        let throttle = Throttle { limit: self.clone(), stream, rest: None };
        stream::unfold(throttle, |mut throttle| async move {
            let event = throttle.next().await?;
            Some((event, throttle))
        })
        .boxed()
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::unlimited()
    }
}

#[derive(Debug)]
struct Bucket {
    /// Bytes that may pass, in billionths: a byte per second and nanosecond.
    tokens: u128,
    filled_at: Instant,
}

impl Bucket {
    /// Takes the bytes, or says how long to wait for them.
    fn take(&mut self, limit: NonZeroU64, bytes: u64, now: Instant) -> Option<Duration> {
        let limit = u128::from(limit.get());
        let cost = u128::from(bytes) * NANOS;
        let elapsed = now.saturating_duration_since(self.filled_at).as_nanos();
        let most = limit.saturating_mul(BURST.as_nanos()).max(cost);
        let filled = self.tokens.saturating_add(limit.saturating_mul(elapsed));
        self.tokens = filled.min(most);
        self.filled_at = now;
        match self.tokens.checked_sub(cost) {
            Some(rest) => {
                self.tokens = rest;
                None
            }
            None => {
                let wait = (cost - self.tokens).div_ceil(limit);
                Some(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
            }
        }
    }
}

struct Throttle {
    limit: RateLimit,
    stream: SegmentStream,
    /// What is left of a segment that was cut.
    rest: Option<Segment>,
}

impl Throttle {
    async fn next(&mut self) -> Option<Result<FetchEvent, TransferError>> {
        let mut segment = match self.rest.take() {
            Some(rest) => rest,
            None => match self.stream.next().await? {
                Ok(FetchEvent::Segment(segment)) => segment,
                other => return Some(other),
            },
        };
        let len = segment.data.len();
        let part = self.limit.take_some(len as u64).await;
        let part = usize::try_from(part).unwrap_or(len);
        if part < len {
            self.rest = Some(Segment {
                offset: segment.offset.saturating_add(part as u64),
                data: segment.data.split_off(part),
            });
        }
        Some(Ok(FetchEvent::Segment(segment)))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use bytes::Bytes;
    use futures::future::join_all;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MB: u64 = 1_000_000;

    fn limit(rate: u64) -> RateLimit {
        RateLimit::new(NonZeroU64::new(rate))
    }

    /// The largest number of bytes in any second.
    fn peak(passed: &[(Duration, u64)]) -> u64 {
        let mut window: VecDeque<(Duration, u64)> = VecDeque::new();
        let mut sum = 0;
        let mut peak = 0;
        for &(at, bytes) in passed {
            window.push_back((at, bytes));
            sum += bytes;
            while let Some(&(first, bytes)) = window.front()
                && at - first >= Duration::from_secs(1)
            {
                sum -= bytes;
                window.pop_front();
            }
            peak = peak.max(sum);
        }
        peak
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_to_its_rate() {
        for rate in [3, 999, 64_000, 5 * MB, 1_000 * MB] {
            let limit = limit(rate);
            sleep(Duration::from_secs(60)).await;
            let start = Instant::now();
            let mut passed = Vec::new();
            let mut total = 0;
            while total < 10 * rate {
                let bytes = limit.take_some(256 << 10).await;
                total += bytes;
                passed.push((start.elapsed(), bytes));
            }
            let seconds = start.elapsed().as_secs_f64();
            let average = total as f64 / seconds;
            assert!(average >= rate as f64 * 0.99, "{average} of {rate}");
            let peak = peak(&passed);
            assert!(peak * 10 <= rate * 12, "{peak} in a second at {rate}");
        }
    }

    /// What somebody does: ask for so many bytes, one part after the other, then pause.
    fn habits() -> impl Strategy<Value = Vec<(u64, Duration)>> {
        let bytes = (0..24_u32).prop_flat_map(|bits| 0..=1_u64 << bits);
        let pause = prop_oneof![
            3 => Just(Duration::ZERO),
            1 => (0..3_000_u64).prop_map(Duration::from_millis),
        ];
        vec((bytes, pause), 1..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whoever takes how much and when: in no second more than 1.2 times the rate passes, and as long as somebody
        /// waits hardly less than the rate.
        #[test]
        fn neither_bursts_nor_caps_below_the_rate(
            rate in (0..31_u32).prop_flat_map(|bits| 1..=1_u64 << bits),
            takers in vec(habits(), 1..5),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let (passed, busy) = runtime.block_on(async {
                let limit = limit(rate);
                let start = Instant::now();
                let passed = RefCell::new(Vec::new());
                let takers = takers.into_iter().map(|habits| async {
                    for (bytes, pause) in habits {
                        // About ten seconds of it at most.
                        let mut left = bytes.min(10 * rate);
                        while left > 0 {
                            let part = limit.take_some(left).await;
                            left -= part;
                            passed.borrow_mut().push((start.elapsed(), part));
                        }
                        sleep(pause).await;
                    }
                });
                join_all(takers).await;
                sleep(Duration::from_secs(5)).await;
                // And now without a pause.
                let begun = Instant::now();
                let mut total = 0;
                while total < 10 * rate {
                    let part = limit.take_some(10 * rate).await;
                    total += part;
                    passed.borrow_mut().push((start.elapsed(), part));
                }
                (passed.into_inner(), total as f64 / begun.elapsed().as_secs_f64())
            });
            prop_assert!(busy >= rate as f64 * 0.99, "{busy} of {rate}");
            let peak = peak(&passed);
            prop_assert!(peak * 10 <= rate * 12, "{peak} in a second at {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_share_it_fairly() {
        let limit = limit(MB);
        let start = Instant::now();
        let takers = (0..10).map(|_| async {
            for _ in 0..10 {
                limit.take(100_000).await;
            }
            start.elapsed()
        });
        let ends = join_all(takers).await;
        let last = ends.iter().max().unwrap();
        let first = ends.iter().min().unwrap();
        assert!(*last >= Duration::from_millis(9_800) && *last <= Duration::from_millis(10_100));
        assert!(*last - *first < Duration::from_millis(600), "{ends:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_reaches_those_who_wait() {
        let limit = limit(1);
        let start = Instant::now();
        tokio::join!(limit.take(1_000_000), async {
            sleep(Duration::from_secs(5)).await;
            limit.set(None);
        });
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_nothing() {
        let limit = limit(1_000);
        for _ in 0..100 {
            let wait = Duration::from_millis(10);
            let _ = tokio::time::timeout(wait, limit.take_some(50)).await;
        }
        let start = Instant::now();
        limit.take(1_000).await;
        assert!(start.elapsed() <= Duration::from_millis(1_001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_stream_has_the_same_bytes() {
        let data = Bytes::from((0..100_000_u32).map(|n| n as u8).collect::<Vec<_>>());
        let events = [
            FetchEvent::Queued { position: 1 },
            FetchEvent::Segment(Segment { offset: 7, data: data.clone() }),
        ];
        let start = Instant::now();
        let stream = stream::iter(events).map(Ok).boxed();
        let mut stream = limit(100_000).throttle(stream);
        assert!(matches!(stream.next().await, Some(Ok(FetchEvent::Queued { position: 1 }))));
        let mut got = Vec::new();
        while let Some(event) = stream.next().await {
            let Ok(FetchEvent::Segment(segment)) = event else {
                panic!("{event:?}");
            };
            assert_eq!(segment.offset, 7 + got.len() as u64);
            assert!(segment.data.len() <= 5_000);
            got.extend_from_slice(&segment.data);
        }
        assert_eq!(got, data);
        assert!(start.elapsed() >= Duration::from_millis(840));
    }
}
