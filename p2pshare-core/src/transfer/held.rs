//! The pieces that something holds, and how others follow them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::{HaveStream, HaveUpdate, TransferError};
use crate::content::{PieceIndex, PieceRun, PieceSet};

/// The pieces that somebody holds, by the one who gains them. Once it is dropped, those who follow learn of it.
#[derive(Debug)]
pub(super) struct Holdings {
    view: HoldingsView,
    /// Carries how many pieces were gained; its value is never read, only that it changes.
    gained: watch::Sender<usize>,
}

/// The same pieces, by those who follow.
#[derive(Debug, Clone)]
pub(super) struct HoldingsView {
    state: Arc<Mutex<State>>,
    gained: watch::Receiver<usize>,
}

#[derive(Debug)]
struct State {
    set: PieceSet,
    /// The pieces gained, in the order of time: a follower remembers how much of it he has seen.
    log: Vec<PieceIndex>,
}

impl Holdings {
    pub(super) fn new(set: PieceSet) -> Self {
        let state = State { set, log: Vec::new() };
        let (sender, receiver) = watch::channel(0);
        Self {
            view: HoldingsView { state: Arc::new(Mutex::new(state)), gained: receiver },
            gained: sender,
        }
    }

    /// What others follow.
    pub(super) fn view(&self) -> &HoldingsView {
        &self.view
    }

    /// Notes that a piece is held from now on.
    pub(super) fn insert(&self, piece: PieceIndex) {
        let mut state = self.view.state();
        if !state.set.insert(piece) {
            return;
        }
        state.log.push(piece);
        let count = state.log.len();
        drop(state);
        self.gained.send_replace(count);
    }
}

impl HoldingsView {
    pub(super) fn snapshot(&self) -> PieceSet {
        self.state().set.clone()
    }

    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.state().set.contains(piece)
    }

    /// Waits until the piece is held. False when nobody can gain it any more.
    pub(super) async fn wait_for(&self, piece: PieceIndex) -> bool {
        let mut gained = self.gained.clone();
        loop {
            gained.borrow_and_update();
            if self.contains(piece) {
                return true;
            }
            if gained.changed().await.is_err() {
                return self.contains(piece);
            }
        }
    }

    /// How many pieces are missing.
    pub(super) fn missing(&self) -> u32 {
        let set = &self.state().set;
        set.piece_count().saturating_sub(set.len())
    }

    /// Whether nobody can gain pieces any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.gained.has_changed().is_err()
    }

    /// Says whether all pieces of the runs are held.
    pub(super) fn check(&self, runs: &[PieceRun]) -> Result<(), TransferError> {
        let state = self.state();
        if state.set.is_full() {
            return Ok(());
        }
        let missing =
            runs.iter().flat_map(PieceRun::iter).find(|piece| !state.set.contains(*piece));
        missing.map_or(Ok(()), |piece| Err(TransferError::NotHeld(piece)))
    }

    /// All that is held, then what is gained.
    pub(super) fn stream(&self) -> HaveStream {
        let follower = Follower { view: self.clone(), seen: None, done: false };
        stream::unfold(follower, |mut follower| async move {
            let update = follower.next().await?;
            Some((update, follower))
        })
        .boxed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Follower {
    view: HoldingsView,
    /// How much of the log was reported, `None` before the first update.
    seen: Option<usize>,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<HaveUpdate, TransferError>> {
        if self.done {
            return None;
        }
        loop {
            if let Some(update) = self.news() {
                self.done = update.complete;
                return Some(Ok(update));
            }
            if self.view.gained.changed().await.is_err() {
                self.done = true;
                let reason = "it has stopped downloading the content".to_owned();
                return Some(Err(TransferError::Unavailable(reason)));
            }
        }
    }

    /// What was not reported yet, if there is anything.
    fn news(&mut self) -> Option<HaveUpdate> {
        let state = self.view.state();
        let gained = match self.seen {
            None => state.set.runs().collect(),
            Some(seen) if seen < state.log.len() => in_order(state.log.get(seen..)?),
            Some(_) => return None,
        };
        self.seen = Some(state.log.len());
        Some(HaveUpdate { gained, complete: state.set.is_full() })
    }
}

/// Different pieces as runs, in order and as long as they can be.
fn in_order(pieces: &[PieceIndex]) -> Vec<PieceRun> {
    let mut pieces = pieces.to_vec();
    pieces.sort_unstable();
    PieceRun::join(pieces)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn run(start: u32, count: u32) -> PieceRun {
        PieceRun::new(PieceIndex(start), count)
    }

    fn gained(gained: &[PieceRun], complete: bool) -> HaveUpdate {
        HaveUpdate { gained: gained.to_vec(), complete }
    }

    #[tokio::test]
    async fn first_all_then_what_was_gained_since() {
        let held = Holdings::new(PieceSet::from_runs(6, [run(2, 1)]).unwrap());
        let mut stream = held.view().stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), gained(&[run(2, 1)], false));
        assert!(stream.next().now_or_never().is_none());
        for piece in [1, 0, 5, 1] {
            held.insert(PieceIndex(piece));
        }
        let update = stream.next().await.unwrap().unwrap();
        assert_eq!(update, gained(&[run(0, 2), run(5, 1)], false));
        held.insert(PieceIndex(3));
        held.insert(PieceIndex(4));
        let update = stream.next().await.unwrap().unwrap();
        assert_eq!(update, gained(&[run(3, 2)], true));
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn nothing_held_is_said_too() {
        let held = Holdings::new(PieceSet::empty(1));
        let mut stream = held.view().stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), gained(&[], false));
    }

    #[tokio::test]
    async fn an_abandoned_download_ends_with_an_error_after_the_last_news() {
        let held = Holdings::new(PieceSet::empty(3));
        let mut stream = held.view().stream();
        assert!(stream.next().await.unwrap().is_ok());
        held.insert(PieceIndex(1));
        let view = held.view().clone();
        drop(held);
        assert!(view.is_abandoned());
        assert_eq!(stream.next().await.unwrap().unwrap(), gained(&[run(1, 1)], false));
        assert!(matches!(stream.next().await, Some(Err(TransferError::Unavailable(_)))));
        assert!(stream.next().await.is_none());
    }
}
