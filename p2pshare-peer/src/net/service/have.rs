//! Answers of the call `Have`.

use futures::{StreamExt, TryStreamExt, stream};
use p2pshare_core::transfer::HaveStream;
use p2pshare_proto::v1;

use super::Answers;
use crate::net::status::transfer_status;
use crate::net::wire;

/// The updates of a source, cut into messages of bounded size.
pub(super) fn answer(updates: HaveStream) -> Answers<v1::HaveUpdate> {
    updates
        .map_ok(|update| stream::iter(wire::have_updates_out(update).into_iter().map(Ok)))
        .map_err(|error| transfer_status(&error))
        .try_flatten()
        .boxed()
}
