//! Sending several small contents to another peer in one call, without waiting for the answer to each.

use std::pin::pin;

use futures::StreamExt;
use p2pshare_core::path::SharePath;
use p2pshare_core::transfer::{FetchEvent, PieceSource, QueueNews, TransferError};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event as Outgoing;
use p2pshare_proto::v1::push_response::Event as Incoming;

use super::grants::OneGrant;
use super::push::{
    NotFed, PushProposal, Pushing, Sender, message, offer_of, receipt_name, wanted_runs,
};
use super::remote::RemotePeer;
use crate::net::grpc::{Encoded, SegmentField, Unsent};
use crate::net::wire;

/// One of several contents that are sent in one call.
#[derive(Clone, Debug)]
pub struct SmallPush {
    /// What is sent: it has at most one piece.
    pub proposal: PushProposal,
    /// The index's grant for it.
    pub grant: String,
}

/// What a peer has of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The name under which it keeps it.
    pub name: SharePath,
    /// It was not there before.
    pub wanted: bool,
}

/// Why not all of several contents were taken.
#[derive(Debug)]
pub struct NotTaken {
    /// Which one failed, counted from 0. Those that the peer has were told; of others it is not known.
    pub number: usize,
    /// Why.
    pub error: TransferError,
}

impl RemotePeer {
    /// Sends contents of at most one piece, the bytes of each along with its offer, whether or not the peer has it
    /// already. Tells `kept` of those that it has, in their order.
    ///
    /// The bytes come from `source`. Dropping the future ends the push; what was taken stays.
    ///
    /// # Errors
    /// [`NotTaken`]. It is [`TransferError::Unsupported`] when the peer takes one content in a call only: what is not told
    /// by then can be sent with [`push`](Self::push).
    pub async fn push_small(
        &self,
        contents: &[SmallPush],
        source: &dyn PieceSource,
        kept: &(dyn Fn(usize, Kept) + Send + Sync),
    ) -> Result<(), NotTaken> {
        let Some(first) = contents.first() else { return Ok(()) };
        let at = |number| move |error| NotTaken { number, error };
        let grant = OneGrant(first.grant.clone());
        let offer = offer(first, 0, contents.len());
        let opened = self.open_push(offer, &first.proposal, &grant, &|_| ()).await;
        let Pushing { messages, mut answers, mut watch, request, answer_timeout, .. } =
            opened.map_err(at(0))?;
        let mut feeding = pin!(feed(messages, contents, source));
        let (mut is_feeding, mut done, mut wanted) = (true, 0, false);
        let mut queue = QueueNews::default();
        while let Some(current) = contents.get(done) {
            let answer = Pushing::next_answer(&watch, &mut answers, &request, answer_timeout);
            let answer = tokio::select! {
                answer = answer => answer.map_err(at(done))?,
                fed = feeding.as_mut(), if is_feeding => {
                    is_feeding = false;
                    match fed {
                        // Who is gone has answered why.
                        Ok(()) | Err((_, NotFed::Unsent(Unsent::Gone))) => continue,
                        Err((_, NotFed::Unsent(Unsent::Stalled(time)))) => {
                            return Err(at(done)(TransferError::Stalled(time)));
                        }
                        Err((number, NotFed::Source(error))) => return Err(at(number)(error)),
                    }
                }
            };
            watch.alive();
            match answer {
                // It goes on; what it waits for is its disk.
                Incoming::Queued(queued) => {
                    queue.take(queued.position).map_err(at(done))?;
                }
                Incoming::Wanted(asked) => {
                    let mut budget = u32::from(!wanted);
                    let manifest = &current.proposal.manifest;
                    wanted_runs(&asked, manifest, &mut budget).map_err(at(done))?;
                    wanted = true;
                }
                Incoming::Receipt(receipt) => {
                    let name = receipt_name(&receipt).map_err(at(done))?;
                    kept(done, Kept { name, wanted: std::mem::take(&mut wanted) });
                    done += 1;
                    queue = QueueNews::default();
                    if !receipt.more && done < contents.len() {
                        watch.over();
                        return Err(at(done)(TransferError::Unsupported));
                    }
                }
            }
        }
        watch.over();
        Ok(())
    }
}

/// The offer of one of so many contents. The grant of the first is in the metadata.
fn offer(content: &SmallPush, number: usize, count: usize) -> v1::PushOffer {
    let grant = if number > 0 { content.grant.clone() } else { String::new() };
    v1::PushOffer { grant, several: number + 1 < count, ..offer_of(&content.proposal) }
}

/// Sends all of it. The first offer was sent already. An error says at which content.
async fn feed(
    messages: Sender,
    contents: &[SmallPush],
    source: &dyn PieceSource,
) -> Result<(), (usize, NotFed)> {
    for (number, content) in contents.iter().enumerate() {
        let fed = async {
            let manifest = &content.proposal.manifest;
            if number > 0 {
                let offer = offer(content, number, contents.len());
                messages.send(message(Outgoing::Offer(offer))).await?;
            }
            for part in wire::manifest_parts(manifest.clone()) {
                messages.send(message(Outgoing::Manifest(part))).await?;
            }
            if manifest.is_empty() {
                return Ok(());
            }
            let mut events = source.fetch(&manifest.id(), &[]).await?;
            while let Some(event) = events.next().await {
                if let FetchEvent::Segment(segment) = event? {
                    messages.send(Encoded::segment(SegmentField::PUSH, segment)).await?;
                }
            }
            Ok(())
        };
        fed.await.map_err(|error| (number, error))?;
    }
    Ok(())
}
