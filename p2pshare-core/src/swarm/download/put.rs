//! Whole pieces on their way into the sink.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::board::Board;
use crate::{content::PieceIndex, transfer::SinkError};

/// A whole piece, not verified yet, that counts in the limits of memory as long as it exists.
pub(super) struct Admitted {
    board: Arc<Board>,
    piece: PieceIndex,
    data: Vec<Bytes>,
    _places: [Option<OwnedSemaphorePermit>; 2],
}

impl Admitted {
    /// Waits until there is place in memory for another piece. Nothing more should be read until then.
    pub(super) async fn wait(board: Arc<Board>, piece: PieceIndex, data: Vec<Bytes>) -> Self {
        // The semaphores are never closed. Always in this order, so nobody waits for the first one with the second.
        let own = board.pieces.clone().acquire_owned().await.ok();
        let shared = board.limits.pieces.clone().acquire_owned().await.ok();
        Self { board, piece, data, _places: [own, shared] }
    }

    /// Hands it to the sink.
    pub(super) async fn put(self) -> (PieceIndex, Result<(), SinkError>) {
        let Self { board, piece, data, _places } = self;
        (piece, board.sink.put(piece, data).await)
    }
}
