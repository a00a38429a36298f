//! Sending a content to another peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
use super::watch::Watch;
use crate::net::grpc::{
    self, Encoded, Incoming as Messages, OutgoingBody, Part, SegmentField, Unsent, Untaken,
    WatchedBody,
};
use crate::net::limits::MAX_CONTROL_MESSAGE;
use crate::net::status::transfer_error;
use crate::net::wire;

/// How many messages wait for the socket at most.
const AHEAD: usize = 4;

/// How many times as long as for another answer is waited for that of a receiver while the connection is busy.
const LONGEST_WAIT: u32 = 10;

/// How often it is told how much was sent.
const MOMENT: Duration = Duration::from_millis(200);

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
        let mut push = self.open_push(offer_of(proposal), proposal, grants, progress).await?;
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
                Incoming::Receipt(receipt) => {
                    push.watch.over();
                    return receipt_name(&receipt);
                }
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
                                let segment = Encoded::segment(SegmentField::PUSH, segment);
                                messages.send(segment).await?;
                            }
                        }
                        Ok(())
                    };
                    early = push.feed(bytes).await?;
                }
            }
        }
    }

    /// Makes the call with the first offer.
    pub(super) async fn open_push<'a>(
        &self,
        offer: v1::PushOffer,
        proposal: &PushProposal,
        grants: &dyn GrantProvider,
        progress: &'a (dyn Fn(PushProgress) + Send + Sync),
    ) -> Result<Pushing<'a>, TransferError> {
        let request =
            GrantRequest { peer: self.id(), content: proposal.manifest.id(), access: Access::Push };
        let limits = self.limits();
        let call = self.call(Route::Bulk, grants, request, |channel, grant| {
            let (sender, receiver) = mpsc::channel(AHEAD);
            let offer = message(Outgoing::Offer(offer.clone()));
            let messages = ReceiverStream::new(receiver).map(Ok);
            let untaken = Untaken::default();
            let body = OutgoingBody::of_request(messages, channel.traffic());
            let sent = body.sent();
            let body = WatchedBody::new(body, untaken.clone());
            let request = grant.request(Body::new(body));
            let stall_timeout = limits.answer_timeout;
            async move {
                // There is room: nothing was sent yet.
                let _ = sender.try_send(offer);
                let answers = channel.call(grpc::PUSH, request, None, MAX_CONTROL_MESSAGE).await?;
                let messages = Sender { sender, untaken, stall_timeout };
                Ok(answers.map(|answers| (messages, answers, sent)))
            }
        });
        let ((messages, answers, sent), watch) = call.await?;
        let answer_timeout = limits.answer_timeout;
        let told = Told { sent, bytes: 0, progress };
        Ok(Pushing { messages, answers, watch, request, answer_timeout, told })
    }
}

/// A push that runs.
pub(super) struct Pushing<'a> {
    pub(super) messages: Sender,
    pub(super) answers: Messages<v1::PushResponse>,
    pub(super) watch: Watch,
    pub(super) request: GrantRequest,
    pub(super) answer_timeout: Duration,
    told: Told<'a>,
}

/// How much was sent, and told.
struct Told<'a> {
    sent: Arc<AtomicU64>,
    bytes: u64,
    progress: &'a (dyn Fn(PushProgress) + Send + Sync),
}

impl Told<'_> {
    /// Tells it now and then while something is done.
    async fn during<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        loop {
            let done = timeout(MOMENT, what.as_mut()).await;
            self.tell();
            if let Ok(done) = done {
                return done;
            }
        }
    }

    fn tell(&mut self) {
        let sent = self.sent.load(Relaxed);
        let bytes = sent.saturating_sub(self.bytes);
        if bytes > 0 {
            self.bytes = sent;
            (self.progress)(PushProgress::Sent { bytes });
        }
    }
}

impl Pushing<'_> {
    /// Sends what `feed` makes. An answer that comes before all is sent is given back, an error ends it.
    async fn feed(
        &mut self,
        feed: impl AsyncFnOnce(&Sender) -> Result<(), NotFed>,
    ) -> Result<Option<Incoming>, TransferError> {
        let Self { messages, answers, told, .. } = self;
        let mut early = None;
        let feeding = async {
            let mut fed = std::pin::pin!(feed(messages));
            loop {
                tokio::select! {
                    biased;
                    fed = fed.as_mut() => break Ok::<_, TransferError>(fed),
                    answer = answers.next(), if early.is_none() => {
                        let answer = answer.map_err(|status| transfer_error(&status, &self.request.content))?;
                        early = Some(event(answer)?);
                    }
                }
            }
        };
        match told.during(feeding).await? {
            Ok(()) => Ok(early),
            Err(NotFed::Source(error)) => Err(error),
            Err(NotFed::Unsent(Unsent::Stalled(time))) => Err(TransferError::Stalled(time)),
            // The peer ended the call: its answer says why.
            Err(NotFed::Unsent(Unsent::Gone)) => match self.answer().await {
                Ok(_) => Err(broken("the peer stopped to take what it wanted")),
                Err(error) => Err(error),
            },
        }
    }

    async fn answer(&mut self) -> Result<Incoming, TransferError> {
        let Self { answers, watch, request, answer_timeout, told, .. } = self;
        let answer = Self::next_answer(watch, answers, request, *answer_timeout);
        let answer = told.during(answer).await?;
        watch.alive();
        Ok(answer)
    }

    /// Waits for the next answer as long as the connection is busy, but not for ever.
    pub(super) async fn next_answer(
        watch: &Watch,
        answers: &mut Messages<v1::PushResponse>,
        request: &GrantRequest,
        time: Duration,
    ) -> Result<Incoming, TransferError> {
        let answer = watch.busy(time, answers.next());
        // What was sent before is there by then, however slow the line is: whoever says nothing is stuck.
        let answer = timeout(time.saturating_mul(LONGEST_WAIT), answer).await;
        let answer = answer.map_err(|_| TransferError::Stalled(time)).flatten()?;
        event(answer.map_err(|status| transfer_error(&status, &request.content))?)
    }
}

/// Where the messages of a push go.
pub(super) struct Sender {
    sender: mpsc::Sender<Encoded>,
    untaken: Untaken,
    stall_timeout: Duration,
}

/// Why not all was sent.
pub(super) enum NotFed {
    /// The receiver did not take it.
    Unsent(Unsent),
    /// What was to be sent is not there.
    Source(TransferError),
}

impl Sender {
    pub(super) async fn send(&self, message: Encoded) -> Result<(), Unsent> {
        self.untaken.send(&self.sender, message, self.stall_timeout).await
    }
}

impl From<Unsent> for NotFed {
    fn from(unsent: Unsent) -> Self {
        Self::Unsent(unsent)
    }
}

impl From<TransferError> for NotFed {
    fn from(error: TransferError) -> Self {
        Self::Source(error)
    }
}

/// The runs that the receiver wants, which must be of the content. All that it wants over time is no more than the
/// content has: else it could ask forever.
pub(super) fn wanted_runs(
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

pub(super) fn receipt_name(receipt: &v1::PushReceipt) -> Result<SharePath, TransferError> {
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

pub(super) fn offer_of(proposal: &PushProposal) -> v1::PushOffer {
    v1::PushOffer {
        content_id: wire::content_id_bytes(&proposal.manifest.id()),
        name: proposal.name.as_str().to_owned(),
        length: proposal.manifest.len(),
        ..v1::PushOffer::default()
    }
}

pub(super) fn message(event: Outgoing) -> Encoded {
    Encoded::message(&v1::PushRequest { event: Some(event) })
}

fn broken(what: &str) -> TransferError {
    TransferError::Protocol(what.to_owned())
}
