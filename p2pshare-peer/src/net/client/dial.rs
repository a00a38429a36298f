//! Connecting to whichever of several addresses answers first.

use std::future::Future;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

/// Tries the targets in order, each `stagger` after the one before or as soon as that has failed, and takes the first
/// that connects; the others are dropped. This is what RFC 8305 (Happy Eyeballs) describes, without its sorting: the
/// order is the caller's.
///
/// # Errors
/// The errors of all targets, in the order in which they came.
pub(super) async fn first_to_connect<A, T, E, F>(
    targets: impl IntoIterator<Item = A>,
    stagger: Duration,
    connect: impl Fn(A) -> F,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = targets.into_iter().peekable();
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        match waiting.next() {
            Some(target) => running.push(connect(target)),
            None if running.is_empty() => return Err(errors),
            None => {}
        }
        let more = waiting.peek().is_some();
        tokio::select! {
            Some(result) = running.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => errors.push(error),
            },
            () = sleep(stagger), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    const STAGGER: Duration = Duration::from_millis(250);

    /// Connects after so many milliseconds, or fails then.
    async fn run(targets: Vec<(u64, bool)>) -> (Result<u64, Vec<u64>>, u128, usize) {
        let begin = Instant::now();
        let tried = Mutex::new(0);
        let result = first_to_connect(targets, STAGGER, |(millis, works)| {
            *tried.lock().unwrap() += 1;
            async move {
                sleep(Duration::from_millis(millis)).await;
                if works { Ok(millis) } else { Err(millis) }
            }
        });
        let result = result.await;
        (result, begin.elapsed().as_millis(), tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_first_address_is_the_only_one_tried() {
        assert_eq!(run(vec![(100, true), (1, true)]).await, (Ok(100), 100, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let silent = 60_000;
        let (result, millis, _) = run(vec![(silent, true), (silent, true), (10, true)]).await;
        assert_eq!((result, millis), (Ok(10), 510));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_at_once() {
        let (result, millis, _) = run(vec![(1, false), (2, false), (3, true)]).await;
        assert_eq!((result, millis), (Ok(3), 6));
    }

    #[tokio::test(start_paused = true)]
    async fn all_failures_are_told() {
        let (result, _, tried) = run(vec![(1, false), (2, false)]).await;
        assert_eq!((result, tried), (Err(vec![1, 2]), 2));
        assert_eq!(run(vec![]).await.0, Err(vec![]));
    }
}
