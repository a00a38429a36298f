//! Whether a connection is in use.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use p2pshare_core::time::later;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Knows whether requests run on a connection, and since when none does.
pub(super) struct Activity {
    state: Mutex<State>,
    ended: Notify,
    idle_timeout: Duration,
}

struct State {
    running: usize,
    closes_at: Instant,
}

/// A request runs as long as this lives.
pub(super) struct Running(Arc<Activity>);

impl Activity {
    /// A connection that was opened now: its first request has `first` to come, later ones `idle_timeout` from the one
    /// before.
    pub(super) fn new(first: Duration, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { running: 0, closes_at: later(Instant::now(), first) }),
            ended: Notify::new(),
            idle_timeout,
        })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.state().running += 1;
        Running(Arc::clone(self))
    }

    /// Done when no request has run for long enough.
    pub(super) async fn idle(&self) {
        loop {
            let closes_at = {
                let state = self.state();
                (state.running == 0).then_some(state.closes_at)
            };
            match closes_at {
                None => self.ended.notified().await,
                Some(at) if at <= Instant::now() => return,
                // A request may come and go meanwhile, after which it may be due earlier.
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.ended.notified() => {}
                },
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        state.closes_at = later(Instant::now(), self.0.idle_timeout);
        if state.running == 0 {
            self.0.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_running_request_keeps_the_connection() {
        let activity = Activity::new(SECOND, 5 * SECOND);
        let one = activity.begin();
        let two = activity.begin();
        assert!(timeout(100 * SECOND, activity.idle()).await.is_err());
        drop(one);
        assert!(timeout(100 * SECOND, activity.idle()).await.is_err());
        let ended = Instant::now();
        drop(two);
        activity.idle().await;
        assert_eq!(ended.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_counts_from_the_last_request() {
        let activity = Activity::new(100 * SECOND, 5 * SECOND);
        let (waiting, opened) = (Arc::clone(&activity), Instant::now());
        let idle = tokio::spawn(async move { waiting.idle().await });
        tokio::time::sleep(SECOND).await;
        drop(activity.begin());
        idle.await.unwrap();
        assert_eq!(opened.elapsed().as_secs(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_must_come_soon() {
        let activity = Activity::new(SECOND, 5 * SECOND);
        let opened = Instant::now();
        activity.idle().await;
        assert_eq!(opened.elapsed().as_secs(), 1);
    }
}
