//! How fast a source is.

use std::time::Duration;

/// Shorter times are put together before they count.
const SAMPLE: Duration = Duration::from_millis(100);

/// How long a speed is remembered: the weight of a sample falls to 1/e in this time.
const MEMORY: f64 = 2.0;

/// After so long without a byte the silence itself lowers the estimate.
const SILENCE: Duration = Duration::from_secs(1);

/// Measures a source's speed while it has something to deliver: an exponentially weighted mean over samples of
/// uneven length. Idle time does not count.
#[derive(Clone, Debug, Default)]
pub(in crate::swarm) struct SpeedMeter {
    /// The weighted sum of the samples in bytes per second, and the sum of their weights, which approaches 1. Their
    /// quotient is the mean, so the first samples count no more than they should.
    sum: f64,
    weight: f64,
    /// Bytes since the sample began.
    bytes: u64,
    /// When the sample began, `None` while nothing is to be delivered.
    since: Option<Duration>,
}

impl SpeedMeter {
    /// There is something to deliver from now on. No effect when there was already.
    pub(in crate::swarm) fn start(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// The time until now does not count: the source waited for something else.
    pub(in crate::swarm) fn restart(&mut self, now: Duration) {
        self.since = Some(now);
        self.bytes = 0;
    }

    /// Nothing is to be delivered any more.
    pub(in crate::swarm) fn stop(&mut self, now: Duration) {
        if let Some(since) = self.since.take()
            && (!self.is_measured() || now.saturating_sub(since) >= SAMPLE / 4)
        {
            self.sample(now.saturating_sub(since));
        }
        self.bytes = 0;
    }

    /// Bytes have come.
    pub(in crate::swarm) fn add(&mut self, bytes: u64, now: Duration) {
        let since = *self.since.get_or_insert(now);
        self.bytes = self.bytes.saturating_add(bytes);
        let elapsed = now.saturating_sub(since);
        if elapsed >= SAMPLE {
            self.sample(elapsed);
            self.restart(now);
        }
    }

    /// Whether the source has delivered enough to be measured.
    pub(in crate::swarm) fn is_measured(&self) -> bool {
        self.weight > 0.0
    }

    /// Bytes per second as of now, `None` when nothing is known yet. 0 is possible: it is silent.
    pub(in crate::swarm) fn estimate(&self, now: Duration) -> Option<f64> {
        let silent = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if silent < SILENCE {
            return self.mean();
        }
        let current = self.bytes as f64 / silent.as_secs_f64();
        Some(self.mean().map_or(current, |mean| mean.min(current)))
    }

    fn sample(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if self.bytes == 0 || seconds <= 0.0 {
            return;
        }
        let speed = self.bytes as f64 / seconds;
        let weight = 1.0 - (-seconds / MEMORY).exp();
        self.sum += (speed - self.sum) * weight;
        self.weight += (1.0 - self.weight) * weight;
    }

    /// Bytes per second while bytes came, `None` when nothing is known yet.
    pub(in crate::swarm) fn mean(&self) -> Option<f64> {
        self.is_measured().then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn idle_time_does_not_count() {
        let mut meter = SpeedMeter::default();
        assert_eq!(meter.estimate(at(5000)), None);
        meter.start(at(0));
        (1..=10).for_each(|step| meter.add(1000, at(step * 100)));
        meter.stop(at(1000));
        let speed = meter.estimate(at(60_000)).unwrap();
        assert!((speed - 10_000.0).abs() < 1.0, "{speed}");
    }

    #[test]
    fn silence_lowers_the_estimate_and_a_change_is_followed() {
        let mut meter = SpeedMeter::default();
        meter.start(at(0));
        (1..=10).for_each(|step| meter.add(1000, at(step * 100)));
        assert_eq!(meter.estimate(at(3000)), Some(0.0));
        (11..=110).for_each(|step| meter.add(100, at(step * 100)));
        let speed = meter.estimate(at(11_000)).unwrap();
        assert!((900.0..1200.0).contains(&speed), "{speed}");
    }

    #[test]
    fn a_first_burst_too_short_for_a_sample_counts_when_it_ends() {
        let mut meter = SpeedMeter::default();
        meter.start(at(0));
        meter.add(1 << 20, at(10));
        meter.stop(at(10));
        assert_eq!(meter.estimate(at(20)), Some((1 << 20) as f64 * 100.0));
    }
}
