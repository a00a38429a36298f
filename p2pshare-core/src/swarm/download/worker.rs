//! The task that works with one source.

use std::sync::Arc;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Standing},
    session::{Broken, Session},
};
use crate::{
    content::PieceSet,
    swarm::{Candidate, Failure, SourceId, SwarmEvent},
    time::later,
    transfer::{SinkError, TransferError},
};

/// How the work with a source ended.
pub(super) enum End {
    /// All pieces are verified.
    Done,
    /// It failed too often, or for good: it should rest.
    Rest,
    /// Others are to have its place.
    Dismissed,
    /// It lied.
    Lied,
    /// The source's code has a fault.
    Panicked,
    /// The sink failed: the download is over.
    Sink(SinkError),
}

/// Fetches from a source what the planner says, again after failures, until all is done or the source is given up.
/// Tells every failure to `failures`. Once it is `dismissed` it lets go of the source at once. The source takes part until
/// the coordinator takes it out: were it out before the coordinator knows why, the coordinator could find nobody there
/// and give up.
pub(super) async fn work(
    board: Arc<Board>,
    candidate: Candidate,
    failures: mpsc::UnboundedSender<(SourceId, TransferError)>,
    dismissed: CancellationToken,
) -> (SourceId, End) {
    let id = candidate.id;
    // The planner keeps the failures also of a source that has not told yet what it has.
    let nothing = PieceSet::empty(board.layout.piece_count());
    let now = board.now();
    board.state().planner.join(id, &nothing, now);
    let end = loop {
        let result = dismissed.run_until_cancelled(attempt(&board, &candidate)).await;
        let error = match result {
            None => break End::Dismissed,
            Some(Ok(())) => break End::Done,
            Some(Err(Broken::Sink(error))) => break End::Sink(error),
            Some(Err(Broken::Source(error))) => error,
        };
        tracing::debug!(source = %candidate.label, %error, "a source failed");
        // The coordinator outlives its workers, or nobody wants to know.
        let _ = failures.send((id, error.clone()));
        let retry_at = punish(&board, id, &error);
        board.lost(id);
        board.events.send(SwarmEvent::Failed {
            source: id,
            label: candidate.label.clone(),
            reason: error.clone(),
        });
        if error.is_lie() {
            break End::Lied;
        }
        let count = board.state().planner.failures(id);
        if !error.is_passing() || count >= board.options.max_failures {
            break End::Rest;
        }
        board.set_standing(id, Standing::Doubtful);
        sleep_until(retry_at).await;
    };
    (id, end)
}

async fn attempt(board: &Arc<Board>, candidate: &Candidate) -> Result<(), Broken> {
    let permit = board.limits.sources.clone().acquire_owned().await;
    let mut session = Session::open(board, candidate).await.map_err(Broken::Source)?;
    let result = session.run().await;
    // What has come whole is kept, whatever became of the rest.
    let drained = session.drain().await;
    drop((session, permit));
    match (result, drained) {
        (_, Err(Broken::Sink(error))) | (Err(Broken::Sink(error)), _) => Err(Broken::Sink(error)),
        (_, Err(lie)) => Err(lie),
        (result, Ok(())) => result,
    }
}

/// Tells the planner of a failure. Gives the time of the next attempt.
fn punish(board: &Board, id: SourceId, error: &TransferError) -> Instant {
    let now = board.now();
    let mut state = board.state();
    state.part(id).fruitless += 1;
    let retry_at = if error.is_lie() {
        state.planner.lied(id, error.to_string(), now);
        now
    } else {
        let failure = match error {
            TransferError::NotHeld(piece) => Failure::NotHeld(*piece),
            error if error.is_passing() => Failure::Passing,
            _ => Failure::Lasting,
        };
        state.planner.failed(id, failure, now)
    };
    // What it was to fetch is there for others now.
    state.wake_all();
    later(board.started, retry_at)
}
