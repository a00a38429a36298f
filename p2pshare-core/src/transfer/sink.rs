//! The trait of whatever pieces are written to.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::SinkError;
use crate::content::{Manifest, PieceIndex, PieceSet};

/// Where the verified pieces of one content go.
///
/// # Laws
///
/// - A piece counts as held only after its bytes were verified against the manifest *by the sink*; what does not match
///   is refused with [`SinkError::Mismatch`] and changes nothing.
/// - Putting a piece that is held already is `Ok` and changes nothing, whatever the bytes.
/// - The one piece of an empty content is held from the start: there is nothing to put.
/// - [`finish`](Self::finish) makes a complete content permanent under its final name, or fails and leaves everything as
///   it was; before it the final name does not exist. Nothing that exists is overwritten unless the sink was told to.
///   Finishing again is `Ok`.
/// - **Cancellation**: dropping a future of `put` leaves the piece held or not held, dropping that of `finish` leaves the
///   content finished or not; never a wrong piece, never half a file under the final name.
/// - Pieces may be put from several tasks at once, in any order. A future of `put` that is not polled holds up no other.
#[async_trait]
pub trait PieceSink: Send + Sync {
    /// The manifest that pieces are verified against.
    fn manifest(&self) -> &Manifest;

    /// The pieces that are held, at this moment.
    fn held(&self) -> PieceSet;

    /// Verifies and stores a piece, whose bytes come in order in `data`.
    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError>;

    /// Makes the content permanent. [`SinkError::Incomplete`] while pieces are missing.
    async fn finish(&self) -> Result<(), SinkError>;
}

/// A shared sink is a sink.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: PieceSink + ?Sized> PieceSink for Arc<S> {
    fn manifest(&self) -> &Manifest {
        (**self).manifest()
    }

    fn held(&self) -> PieceSet {
        (**self).held()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        (**self).put(piece, data).await
    }

    async fn finish(&self) -> Result<(), SinkError> {
        (**self).finish().await
    }
}
