//! How long a source is waited for.

use std::time::Duration;

use tokio::time::Instant;

/// How often the index is asked again while no source is online.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// When nobody waits for a source any more; `None`: so far off that it never comes.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(patience: Duration) -> Self {
        Self(Instant::now().checked_add(patience))
    }

    /// How long to wait before the index is asked again, the last time when time is up; `None`: it is.
    pub(super) fn pause(self) -> Option<Duration> {
        let Some(deadline) = self.0 else { return Some(ASK_AGAIN) };
        let left = deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(ASK_AGAIN))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_for_as_long_as_was_said() {
        for patience in [0, 1, 3_999, 4_000, 25_001].map(Duration::from_millis) {
            let (begin, until) = (Instant::now(), Deadline::after(patience));
            while let Some(pause) = until.pause() {
                assert!(pause <= ASK_AGAIN);
                sleep(pause).await;
            }
            assert_eq!(begin.elapsed(), patience);
        }
    }
}
