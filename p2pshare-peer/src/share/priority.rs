//! On what threads the work is done that may take long.

use std::{io, sync::OnceLock, time::Duration};

use p2pshare_core::process::cores;
use tokio::{
    runtime::{Builder, Runtime},
    task::spawn_blocking,
};

/// A thread in the background that has nothing to do ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// How urgent work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Somebody waits for it: all cores work.
    Wanted,
    /// Nobody waits for it: half of the cores work, and where the system has priorities for threads everything else goes
    /// first.
    Background,
}

impl Priority {
    /// Threads that may work at a time.
    pub(super) fn threads(self) -> usize {
        let cores = cores().get();
        match self {
            Self::Wanted => cores,
            Self::Background => (cores / 2).max(1),
        }
    }

    /// Does work that blocks. `None`: there is no thread for it, or the runtime ends.
    ///
    /// Cancellation: what has begun goes on.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self {
            Self::Wanted => spawn_blocking(work).await.ok(),
            Self::Background => background()?.spawn_blocking(work).await.ok(),
        }
    }
}

/// Threads of their own, since one that does other work too could not get its priority back.
fn background() -> Option<&'static Runtime> {
    static THREADS: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let start = || {
        Builder::new_current_thread()
            .thread_name("background")
            .thread_keep_alive(IDLE)
            .on_thread_start(lower)
            .build()
    };
    match THREADS.get_or_init(start) {
        Ok(threads) => Some(threads),
        Err(error) => {
            tracing::warn!(%error, "there are no threads for work in the background");
            None
        }
    }
}

/// From now on other threads go before this one, and those that it starts.
#[cfg(target_os = "linux")]
fn lower() {
    /// Gets about a tenth of the time of a usual thread beside it.
    const NICE: i32 = 10;
    // On Linux the priority is that of the calling thread alone. Without it the work is done all the same.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread in the background kept its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn work_in_the_background_goes_last_and_nothing_else_does() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        let lowered = Priority::Background.run(own).await;
        assert_eq!(lowered, Some(before.max(10)));
        assert_eq!((own(), Priority::Wanted.run(own).await), (before, Some(before)));
        assert!(Priority::Background.threads() <= Priority::Wanted.threads());
    }
}
