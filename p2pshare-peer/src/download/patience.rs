//! How long a source is waited for.

use std::time::Duration;

use tokio::time::Instant;

/// How often the index is asked again while no source is online.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(2);

/// When nobody waits for a source any more; `None`: so far off that it never comes.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(patience: Duration) -> Self {
        Self(Instant::now().checked_add(patience))
    }

    /// Whether there is no time to ask the index again.
    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() + ASK_AGAIN > deadline)
    }
}
