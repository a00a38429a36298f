//! Answers of the call `Fetch`: the bulk path of the server.

use std::sync::Arc;

use futures::StreamExt;
use p2pshare_core::content::{ContentId, PieceRun};
use p2pshare_core::identity::{PeerId, Username};
use p2pshare_core::transfer::{FetchEvent, PieceSource, Spread};

use super::pump::{self, Failure, Outbound, Reader};
use super::{Answers, ServerServices};
use crate::net::grpc::Encoded;
use crate::net::uploads::Key;
use crate::net::wire;

/// A fetch that was let in.
pub(super) struct Fetch {
    pub(super) services: ServerServices,
    /// As it is for the user.
    pub(super) source: Arc<dyn PieceSource>,
    pub(super) spread: Spread,
    pub(super) user: Username,
    pub(super) peer: Option<PeerId>,
    pub(super) content: ContentId,
    /// What is asked for, and what would do as well.
    pub(super) wish: (Vec<PieceRun>, Vec<PieceRun>),
}

/// Waits for an upload slot and then sends the bytes. The slot is free again when all bytes were handed on, when the
/// client goes away, and when it reads nothing for too long.
pub(super) fn answer(fetch: Fetch, reader: Reader) -> Answers<Encoded> {
    pump::spawn(reader, |answers| fetch.run(answers))
}

impl Fetch {
    async fn run(self, answers: Outbound<Encoded>) -> Result<(), Failure> {
        let ServerServices { slots, upload_rate, uploads, .. } = self.services;
        let content = self.content;
        let listed =
            uploads.begin(Key { user: self.user.clone(), peer: self.peer, content, pushed: false });
        let stream = self.spread.serve(&slots, self.user, self.source, content, self.wish)?;
        let mut events = upload_rate.throttle(stream);
        while let Some(event) = events.next().await {
            let event = event?;
            if let Some(listed) = &listed {
                match &event {
                    FetchEvent::Queued { position } => listed.queued(*position),
                    FetchEvent::Segment(segment) => listed.sent(segment.data.len() as u64),
                    _ => {}
                }
            }
            give(&answers, event).await?;
        }
        Ok(())
    }
}

/// Hands on what happens in a fetch.
pub(super) async fn give(answers: &Outbound<Encoded>, event: FetchEvent) -> Result<(), Failure> {
    let queued = matches!(event, FetchEvent::Queued { .. });
    let Some(answer) = wire::fetch_event_out(event) else { return Ok(()) };
    match queued {
        true => answers.tell(answer),
        false => answers.send(answer).await?,
    }
    Ok(())
}
