//! A push that runs.

use std::{
    future::pending,
    panic::resume_unwind,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceIndex, PieceSet},
    identity::Username,
    path::SharePath,
    transfer::{FileSink, PieceSink, SinkError},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{OnReceived, Reservation};

/// A content that was pushed into the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who pushed it.
    pub from: Username,
    /// Its name in the sender's folder.
    pub name: SharePath,
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub content: ContentId,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A push that runs. When it is dropped its place among the running ones and its name are free again.
pub(super) struct Pushed {
    pub(super) sink: FileSink,
    pub(super) from: Username,
    pub(super) name: SharePath,
    pub(super) on_received: Option<OnReceived>,
    pub(super) told: AtomicBool,
    pub(super) reservation: Reservation,
    pub(super) _running: OwnedSemaphorePermit,
}

impl Pushed {
    /// Bytes that are still to come.
    pub(super) fn missing(&self) -> u64 {
        let layout = self.sink.manifest().layout();
        let held = self.sink.held();
        held.missing_runs().map(|run| layout.run_len(run)).fold(0, u64::saturating_add)
    }

    /// Tells once that the content has been received.
    fn tell(&self) {
        if self.sink.already_complete() || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(on_received) = &self.on_received {
            on_received(Received {
                from: self.from.clone(),
                name: self.name.clone(),
                path: self.sink.target().to_owned(),
                content: self.sink.manifest().id(),
                bytes: self.sink.manifest().len(),
            });
        }
    }
}

/// A push as the server that takes it has it.
pub(super) struct Taken(pub(super) Arc<Pushed>);

#[async_trait]
impl PieceSink for Taken {
    fn manifest(&self) -> &Manifest {
        self.0.sink.manifest()
    }

    fn held(&self) -> PieceSet {
        self.0.sink.held()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        self.0.sink.put(piece, data).await
    }

    async fn finish(&self) -> Result<(), SinkError> {
        let push = self.0.clone();
        // Once begun the file gets its name, whether or not the sender waits for that: its receiver is told in any case.
        let finished = tokio::spawn(async move {
            push.sink.finish().await?;
            push.tell();
            Ok(())
        });
        match finished.await {
            Ok(finished) => finished,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The program ends.
                Err(_) => pending().await,
            },
        }
    }
}
