//! Answers of the call `Have`.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use p2pshare_core::transfer::HaveStream;
use p2pshare_proto::v1;
use tokio::time::{Instant, sleep_until};

use super::Answers;
use crate::net::status::transfer_status;
use crate::net::wire;

/// Updates come no closer than this: a fast download gains a thousand pieces a second, and tells each follower.
const PACE: Duration = Duration::from_millis(25);

/// The updates of a source, cut into messages of bounded size. What is gained within a moment is told at once.
pub(super) fn answer(updates: HaveStream) -> Answers<v1::HaveUpdate> {
    paced(updates)
        .map_ok(|update| stream::iter(wire::have_updates_out(update).into_iter().map(Ok)))
        .map_err(|error| transfer_status(&error))
        .try_flatten()
        .boxed()
}

/// The same, asked for the next one only when its time has come: a source joins what it gains meanwhile.
fn paced(updates: HaveStream) -> HaveStream {
    let state = (updates, Instant::now());
    stream::unfold(state, |(mut updates, not_before)| async move {
        sleep_until(not_before).await;
        let update = updates.next().await?;
        Some((update, (updates, Instant::now() + PACE)))
    })
    .boxed()
}
