//! How fast something is, as people want to see it.

use std::time::Duration;

use tokio::time::Instant;

/// How long a rate is remembered: the weight of what was falls to 1/e in this time.
const MEMORY: Duration = Duration::from_secs(3);

/// Shorter times are put together before they count.
const SAMPLE: Duration = Duration::from_millis(200);

/// What has not grown for so long has stalled.
const STALLED: Duration = Duration::from_secs(5);

/// A smoothed rate of a counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<(Instant, u64)>,
    /// When it was seen to have grown, or first of all.
    grown: Option<Instant>,
    rate: f64,
    /// How much of a full memory has been measured, from 0 to 1.
    weight: f64,
}

impl Meter {
    /// The counter is there now.
    pub(crate) fn note(&mut self, count: u64, now: Instant) {
        let Some((since, before)) = self.last else {
            self.last = Some((now, count));
            self.grown = Some(now);
            return;
        };
        if count > before {
            self.grown = Some(now);
        }
        let elapsed = now.saturating_duration_since(since);
        if elapsed < SAMPLE {
            return;
        }
        let current = count.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        let weight = 1.0 - (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.rate += (current - self.rate) * weight;
        self.weight += (1.0 - self.weight) * weight;
        self.last = Some((now, count));
    }

    /// Per second.
    pub(crate) fn rate(&self) -> u64 {
        // The quotient is the mean over what was measured, so the first samples count no less than they should. A cast
        // from a float saturates.
        if self.weight > 0.0 { (self.rate / self.weight).round() as u64 } else { 0 }
    }

    /// How long it has not grown, once that is so long that it no longer goes on at any rate.
    pub(crate) fn stalled(&self, now: Instant) -> Option<Duration> {
        let idle = now.saturating_duration_since(self.grown?);
        (idle >= STALLED).then_some(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_steady_rate_at_once_and_a_change_in_some_seconds() {
        let mut meter = Meter::default();
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        meter.note(5_000_000, at(0));
        assert_eq!(meter.rate(), 0, "what was there before is no rate");
        meter.note(5_100_000, at(250));
        assert_eq!(meter.rate(), 400_000);
        let mut count = 5_100_000;
        for step in 2..60 {
            count += 25_000;
            meter.note(count, at(step * 250));
        }
        assert!((100_000..105_000).contains(&meter.rate()), "{}", meter.rate());

        let last = at(59 * 250);
        meter.note(count, last + Duration::from_millis(4_900));
        assert_eq!(meter.stalled(last + Duration::from_millis(4_999)), None);
        assert_eq!(meter.stalled(last + Duration::from_secs(7)), Some(Duration::from_secs(7)));
        meter.note(count + 1, last + Duration::from_secs(8));
        assert_eq!(meter.stalled(last + Duration::from_secs(9)), None);
    }
}
