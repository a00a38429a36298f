//! Sending a content to another peer.

use std::time::Duration;

use futures::StreamExt;
use p2pshare_core::content::{Manifest, PieceRun};
use p2pshare_core::identity::Access;
use p2pshare_core::path::SharePath;
use p2pshare_core::transfer::{FetchEvent, PieceSource, QueueNews, TransferError};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event as Outgoing;
use p2pshare_proto::v1::push_response::Event as Incoming;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;

use super::grants::{GrantProvider, GrantRequest};
use super::remote::{RemotePeer, Route};
use crate::net::grpc::{self, Encoded, Incoming as Messages, OutgoingBody, Part, SegmentField};
use crate::net::limits::MAX_CONTROL_MESSAGE;
use crate::net::status::transfer_error;
use crate::net::wire;

/// How many messages wait for the socket at most.
const AHEAD: usize = 4;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct PushProposal {
    /// The name that is proposed.
    pub name: SharePath,
    /// The content.
    pub manifest: Manifest,
}

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushProgress {
    /// The receiver is busy; so many are served before.
    Queued {
        /// 1 or more.
        position: u32,
    },
    /// The receiver lacks so many bytes, beside those that it wanted before.
    Wanted {
        /// Number of bytes.
        bytes: u64,
    },
    /// So many bytes more are on their way.
    Sent {
        /// Number of bytes.
        bytes: u64,
    },
}

impl RemotePeer {
    /// Sends a content to the peer, as far as it lacks it, and gives the name under which the peer keeps it.
    ///
    /// The bytes come from `source`. Dropping the future ends the push; pushing again goes on where it was.
    ///
    /// # Errors
    /// Those of the peer, as it tells them: [`TransferError::Refused`] when it does not want the content,
    /// [`TransferError::Mismatch`] when the bytes of `source` are not those of the content. And those of `source`.
    pub async fn push(
        &self,
        proposal: &PushProposal,
        source: &dyn PieceSource,
        grants: &dyn GrantProvider,
        progress: &(dyn Fn(PushProgress) + Send + Sync),
    ) -> Result<SharePath, TransferError> {
        let mut push = self.open_push(proposal, grants).await?;
        let parts = wire::manifest_parts(proposal.manifest.clone());
        let manifest = async |messages: &Sender| {
            for part in parts {
                messages.send(message(Outgoing::Manifest(part))).await?;
            }
            Ok(())
        };
        let mut early = push.feed(manifest).await?;
        let mut queue = QueueNews::default();
        let mut budget = proposal.manifest.layout().piece_count();
        loop {
            let answer = match early.take() {
                Some(answer) => answer,
                None => push.answer().await?,
            };
            match answer {
                Incoming::Queued(queued) => {
                    queue.take(queued.position)?;
                    progress(PushProgress::Queued { position: queued.position });
                }
                Incoming::Receipt(receipt) => return receipt_name(&receipt),
                Incoming::Wanted(wanted) => {
                    let runs = wanted_runs(&wanted, &proposal.manifest, &mut budget)?;
                    let layout = proposal.manifest.layout();
                    let bytes = runs.iter().map(|run| layout.run_len(*run)).sum();
                    progress(PushProgress::Wanted { bytes });
                    let content = proposal.manifest.id();
                    let bytes = async |messages: &Sender| {
                        let mut events = source.fetch(&content, &runs).await?;
                        while let Some(event) = events.next().await {
                            if let FetchEvent::Segment(segment) = event? {
                                let bytes = segment.data.len() as u64;
                                let segment = Encoded::segment(SegmentField::PUSH, segment);
                                messages.send(segment).await?;
                                progress(PushProgress::Sent { bytes });
                            }
                        }
                        Ok(())
                    };
                    early = push.feed(bytes).await?;
                }
            }
        }
    }

    async fn open_push(
        &self,
        proposal: &PushProposal,
        grants: &dyn GrantProvider,
    ) -> Result<Pushing, TransferError> {
        let request =
            GrantRequest { peer: self.id(), content: proposal.manifest.id(), access: Access::Push };
        let offer = v1::PushOffer {
            content_id: wire::content_id_bytes(&request.content),
            name: proposal.name.as_str().to_owned(),
            length: proposal.manifest.len(),
        };
        let limits = self.limits();
        let call = self.call(Route::Bulk, grants, request, |channel, grant| {
            let (sender, receiver) = mpsc::channel(AHEAD);
            let offer = message(Outgoing::Offer(offer.clone()));
            let messages = ReceiverStream::new(receiver).map(Ok);
            let request = grant.request(Body::new(OutgoingBody::of_request(messages)));
            let stall_timeout = limits.stall_timeout;
            async move {
                // There is room: nothing was sent yet.
                let _ = sender.try_send(offer);
                let answers = channel.call(grpc::PUSH, request, None, MAX_CONTROL_MESSAGE).await?;
                let messages = Sender { sender, stall_timeout };
                Ok(answers.map(|answers| (messages, answers)))
            }
        });
        let (messages, answers) = call.await?;
        Ok(Pushing { messages, answers, request, answer_timeout: limits.answer_timeout })
    }
}

/// A push that runs.
struct Pushing {
    messages: Sender,
    answers: Messages<v1::PushResponse>,
    request: GrantRequest,
    answer_timeout: Duration,
}

impl Pushing {
    /// Sends what `feed` makes. An answer that comes before all is sent is given back, an error ends it.
    async fn feed(
        &mut self,
        feed: impl AsyncFnOnce(&Sender) -> Result<(), Unsent>,
    ) -> Result<Option<Incoming>, TransferError> {
        let Self { messages, answers, .. } = self;
        let mut early = None;
        let fed = {
            let mut fed = std::pin::pin!(feed(messages));
            loop {
                tokio::select! {
                    biased;
                    fed = fed.as_mut() => break fed,
                    answer = answers.next(), if early.is_none() => {
                        let answer = answer.map_err(|status| transfer_error(&status, &self.request.content))?;
                        early = Some(event(answer)?);
                    }
                }
            }
        };
        match fed {
            Ok(()) => Ok(early),
            Err(Unsent::Error(error)) => Err(error),
            // The peer ended the call: its answer says why.
            Err(Unsent::Gone) => match self.answer().await {
                Ok(_) => Err(broken("the peer stopped to take what it wanted")),
                Err(error) => Err(error),
            },
        }
    }

    async fn answer(&mut self) -> Result<Incoming, TransferError> {
        let time = self.answer_timeout;
        let answer = timeout(time, self.answers.next()).await;
        let answer = answer.map_err(|_| TransferError::Stalled(time))?;
        event(answer.map_err(|status| transfer_error(&status, &self.request.content))?)
    }
}

/// Where the messages of a push go.
struct Sender {
    sender: mpsc::Sender<Encoded>,
    stall_timeout: Duration,
}

/// Why something was not sent.
enum Unsent {
    /// The call has ended.
    Gone,
    /// This went wrong.
    Error(TransferError),
}

impl Sender {
    async fn send(&self, message: Encoded) -> Result<(), Unsent> {
        let sent = self.sender.send_timeout(message, self.stall_timeout);
        sent.await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => {
                TransferError::Stalled(self.stall_timeout).into()
            }
            mpsc::error::SendTimeoutError::Closed(_) => Unsent::Gone,
        })
    }
}

impl From<TransferError> for Unsent {
    fn from(error: TransferError) -> Self {
        Self::Error(error)
    }
}

/// The runs that the receiver wants, which must be of the content. All that it wants over time is no more than the
/// content has: else it could ask forever.
fn wanted_runs(
    wanted: &v1::PushWanted,
    manifest: &Manifest,
    budget: &mut u32,
) -> Result<Vec<PieceRun>, TransferError> {
    let runs = wire::runs_in(&wanted.runs)?;
    if runs.is_empty() {
        return Err(broken("the peer wants nothing and gives no receipt"));
    }
    for run in &runs {
        let checked = manifest.layout().check_run(*run);
        checked.map_err(|error| broken(&error.to_string()))?;
        *budget = budget
            .checked_sub(run.count)
            .ok_or_else(|| broken("the peer wants more pieces than the content has"))?;
    }
    Ok(runs)
}

fn receipt_name(receipt: &v1::PushReceipt) -> Result<SharePath, TransferError> {
    SharePath::parse(&receipt.name)
        .map_err(|error| broken(&format!("the receipt has no usable name: {error}")))
}

fn event(answer: Option<Part<v1::PushResponse>>) -> Result<Incoming, TransferError> {
    let event = match answer {
        Some(Part::Message(answer)) => answer.event,
        Some(Part::Slice(_)) | None => None,
    };
    event.ok_or_else(|| broken("the push ended without a receipt"))
}

fn message(event: Outgoing) -> Encoded {
    Encoded::message(&v1::PushRequest { event: Some(event) })
}

fn broken(what: &str) -> TransferError {
    TransferError::Protocol(what.to_owned())
}
