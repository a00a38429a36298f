//! Asking one source after the other without waiting long for any.

use std::{ops::ControlFlow, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

use super::Candidate;

/// The time until the next one is asked doubles no more often than this.
const MAX_DOUBLINGS: usize = 16;

/// How long sources are waited for before the next one is asked beside them.
#[derive(Clone, Copy)]
pub(super) struct Hedge {
    pub(super) delay: Duration,
    /// So many are asked `delay` apart. Then the time doubles with each, for all of them may be silent.
    pub(super) at_once: usize,
}

impl Hedge {
    /// How long so many sources are waited for.
    fn wait(self, asked: usize) -> Duration {
        let excess = (asked + 1).saturating_sub(self.at_once.max(1));
        self.delay.saturating_mul(1 << excess.min(MAX_DOUBLINGS))
    }
}

/// Asks the candidates in their order, the next one whenever one has answered or takes long. Ends with what `take` breaks
/// with; `None` once all have answered and it did not. Dropping the future ends all that is asked.
pub(super) async fn ask_in_turn<Asking: Future, Found>(
    candidates: &[Candidate],
    hedge: Hedge,
    ask: impl Fn(Candidate) -> Asking,
    mut take: impl FnMut(Asking::Output) -> ControlFlow<Found>,
) -> Option<Found> {
    let mut waiting = candidates.iter().cloned();
    let mut asked = FuturesUnordered::new();
    loop {
        asked.extend(waiting.next().map(&ask));
        let patience = sleep(hedge.wait(asked.len()));
        tokio::select! {
            answer = asked.next() => if let ControlFlow::Break(found) = take(answer?) {
                return Some(found);
            },
            () = patience, if waiting.len() > 0 => {}
        }
    }
}
