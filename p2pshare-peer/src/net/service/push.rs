//! The call `Push`: taking a content that somebody sends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use p2pshare_core::content::{ContentId, Manifest, ManifestBuilder, PieceRun};
use p2pshare_core::path::SharePath;
use p2pshare_core::text::visible;
use p2pshare_core::transfer::{
    Admission, PieceAssembler, PieceSink, PushOffer, PushReceiver, Segment, SinkError,
    TransferError,
};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event as Incoming;
use p2pshare_proto::v1::push_response::Event as Outgoing;
use tokio::time::timeout;
use tonic::Status;

use super::TransferService;
use super::places::Place;
use super::pump::{Failure, Outbound};
use crate::net::grpc::{Encoded, Incoming as Messages, Part};
use crate::net::limits::MAX_RUNS;
use crate::net::status::transfer_status;
use crate::net::wire;

/// How many pieces are verified and written at a time while more arrive.
const PUTS: usize = 4;

/// How often the sender hears that the push goes on, in the time that it is expected to wait for an answer.
const SIGNS_OF_LIFE: u32 = 6;

/// The messages of the sender.
pub(super) struct Inbound {
    messages: Messages<v1::PushRequest>,
    stall_timeout: Duration,
}

/// A content that the sender offers.
pub(super) struct Offer {
    pub(super) content: ContentId,
    /// The credential for it, if it is not the first.
    pub(super) grant: String,
    name: String,
    length: u64,
    /// Another one may follow.
    several: bool,
}

impl TryFrom<v1::PushOffer> for Offer {
    type Error = TransferError;

    fn try_from(offer: v1::PushOffer) -> Result<Self, TransferError> {
        let content = wire::content_id(&offer.content_id)?;
        let v1::PushOffer { name, length, grant, several, .. } = offer;
        Ok(Self { content, grant, name, length, several })
    }
}

/// Asks whether the sender may push what it offers after the first.
pub(super) type LetIn = Box<dyn Fn(&Offer) -> Result<Admission, Status> + Send + Sync>;

impl Inbound {
    pub(super) fn new(messages: Messages<v1::PushRequest>, stall_timeout: Duration) -> Self {
        Self { messages, stall_timeout }
    }

    /// From now on messages may be so long.
    pub(super) fn allow(&mut self, max_message: usize) {
        self.messages.allow(max_message);
    }

    pub(super) async fn offer(&mut self) -> Result<Offer, Status> {
        let first = self.next().await;
        let offer = first.and_then(|event| match event {
            Incoming::Offer(offer) => offer.try_into(),
            _ => Err(broken("a push must begin with an offer")),
        });
        offer.map_err(|error| transfer_status(&error))
    }

    /// What is offered after a content that is done; `None` if nothing is. So many bytes of that one may come before.
    async fn next_offer(&mut self, mut unwanted: u64) -> Result<Option<Offer>, TransferError> {
        loop {
            let Some(part) = self.part_or_end().await? else { return Ok(None) };
            let segment = match part {
                Part::Slice(slice) => slice,
                Part::Message(v1::PushRequest { event: Some(Incoming::Segment(segment)) }) => {
                    wire::segment_in(segment)
                }
                Part::Message(v1::PushRequest { event: Some(Incoming::Offer(offer)) }) => {
                    return offer.try_into().map(Some);
                }
                Part::Message(_) => return Err(broken("an offer must follow what is done")),
            };
            if segment.data.is_empty() {
                return Err(broken("a segment has no bytes"));
            }
            let left = unwanted.checked_sub(segment.data.len() as u64);
            unwanted = left.ok_or_else(|| broken("more bytes came than the content has"))?;
        }
    }

    /// The next part of the manifest.
    async fn manifest_part(&mut self) -> Result<v1::ManifestPart, TransferError> {
        match self.next().await? {
            Incoming::Manifest(part) => Ok(part),
            _ => Err(broken("the manifest must follow the offer, whole")),
        }
    }

    /// The next slice of a segment.
    async fn slice(&mut self) -> Result<Segment, TransferError> {
        match self.part().await? {
            Part::Slice(slice) => Ok(slice),
            Part::Message(v1::PushRequest { event: Some(Incoming::Segment(segment)) }) => {
                Ok(wire::segment_in(segment))
            }
            Part::Message(_) => Err(broken("only segments may follow the manifest")),
        }
    }

    async fn next(&mut self) -> Result<Incoming, TransferError> {
        match self.part().await? {
            Part::Slice(_) => Err(broken("segments must follow the manifest")),
            Part::Message(message) => {
                message.event.ok_or_else(|| broken("a message of the push is empty"))
            }
        }
    }

    async fn part(&mut self) -> Result<Part<v1::PushRequest>, TransferError> {
        let part = self.part_or_end().await?;
        part.ok_or_else(|| broken("the push ended too early"))
    }

    async fn part_or_end(&mut self) -> Result<Option<Part<v1::PushRequest>>, TransferError> {
        let message = timeout(self.stall_timeout, self.messages.next()).await;
        let message = message.map_err(|_| TransferError::Stalled(self.stall_timeout))?;
        // Whatever broke the stream, the sender sent something that cannot be read, or is gone and will not hear of it.
        message.map_err(|status| broken(status.message()))
    }
}

/// A push that was let in, or several one after the other.
pub(super) struct Push {
    receiver: Arc<dyn PushReceiver>,
    admission: Admission,
    /// What is taken now.
    offer: Offer,
    name: SharePath,
    let_in: LetIn,
    /// The sender hears at least so often that the push goes on.
    sign_of_life: Duration,
    _place: Place,
}

impl Push {
    pub(super) fn new(
        service: &TransferService,
        admission: Admission,
        offer: Offer,
        let_in: LetIn,
    ) -> Result<Self, Status> {
        let parts = || {
            let receiver = service.services.receiver.clone().ok_or_else(|| {
                TransferError::Refused(
                    "this peer does not take files from others: it serves without an inbox"
                        .to_owned(),
                )
            })?;
            let name = check(&*receiver, &offer)?;
            let place = service.places.take(&admission.user).ok_or_else(|| {
                TransferError::Unavailable("too many files are sent to this peer".to_owned())
            })?;
            Ok((receiver, name, place))
        };
        let (receiver, name, place) = parts().map_err(|error| transfer_status(&error))?;
        let sign_of_life = service.answer_timeout / SIGNS_OF_LIFE;
        Ok(Self { receiver, admission, offer, name, let_in, sign_of_life, _place: place })
    }

    /// Takes what is offered, one after the other, and confirms each.
    pub(super) async fn run(
        mut self,
        mut inbound: Inbound,
        answers: Outbound<Encoded>,
    ) -> Result<(), Failure> {
        loop {
            let Taken { name, unwanted } = self.take(&mut inbound, &answers).await?;
            let more = self.offer.several;
            let receipt = v1::PushReceipt { name, more };
            answers.send(response(Outgoing::Receipt(receipt))).await?;
            if !more {
                return Ok(());
            }
            let Some(offer) = inbound.next_offer(unwanted).await? else { return Ok(()) };
            let admission = (self.let_in)(&offer).map_err(Failure::Denied)?;
            if admission.user != self.admission.user {
                return Err(broken("the grants are of several users").into());
            }
            self.name = check(&*self.receiver, &offer)?;
            self.offer = offer;
        }
    }

    /// Takes the manifest, and asks for what is missing until nothing is.
    async fn take(
        &self,
        inbound: &mut Inbound,
        answers: &Outbound<Encoded>,
    ) -> Result<Taken, Failure> {
        let offer = PushOffer {
            manifest: take_manifest(inbound, &self.offer).await?,
            from: self.admission.user.clone(),
            name: self.name.clone(),
        };
        let accepted = self.receiver.accept(&offer);
        let target = busily(self.sign_of_life, answers, accepted).await?;
        let mut rounds = 0_u32;
        loop {
            let runs: Vec<_> = target.sink.held().missing_runs().take(MAX_RUNS).collect();
            if runs.is_empty() {
                break;
            }
            // Each round is complete, so the rounds end, unless the sink forgets what it was given.
            rounds += 1;
            if rounds > offer.manifest.layout().piece_count() {
                let error = "this peer loses what it was sent".to_owned();
                return Err(TransferError::Unavailable(error).into());
            }
            let wanted = v1::PushWanted { runs: wire::runs_out(runs.iter().copied()) };
            answers.send(response(Outgoing::Wanted(wanted))).await?;
            take_pieces(inbound, &*target.sink, &runs).await?;
        }
        let finished = busily(self.sign_of_life, answers, target.sink.finish()).await;
        finished.map_err(|error| sink_error(&error))?;
        let may_come = rounds == 0 && offer.manifest.layout().piece_count() == 1;
        let unwanted = if may_come { offer.manifest.len() } else { 0 };
        Ok(Taken { name: target.name.as_str().to_owned(), unwanted })
    }
}

/// A content that is done.
struct Taken {
    /// The name under which it is kept.
    name: String,
    /// So many bytes of it may come although it was there already.
    unwanted: u64,
}

/// Whether the receiver takes something so long of such a name at all.
fn check(receiver: &dyn PushReceiver, offer: &Offer) -> Result<SharePath, TransferError> {
    receiver.check_length(offer.length)?;
    SharePath::parse(&offer.name).map_err(|error| {
        let name = visible(&offer.name);
        TransferError::Refused(format!("the name `{name}` cannot be used: {error}"))
    })
}

/// Does what may take longer than the sender waits for an answer, as hashing what is there of a large file, and shows it
/// meanwhile that the push goes on.
async fn busily<T>(
    sign_of_life: Duration,
    answers: &Outbound<Encoded>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        match timeout(sign_of_life, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => answers.tell(response(Outgoing::Queued(v1::Queued { position: 1 }))),
        }
    }
}

async fn take_manifest(inbound: &mut Inbound, offer: &Offer) -> Result<Manifest, TransferError> {
    let first = inbound.manifest_part().await?;
    let Some(head) = first.head else {
        return Err(broken("the first part of the manifest must have a head"));
    };
    if head.length != offer.length {
        return Err(broken("the offer and the manifest differ in the length"));
    }
    let mut builder = ManifestBuilder::new(offer.content, head.length, &head.tail)?;
    builder.push(&first.chaining_values)?;
    while builder.missing() > 0 {
        let part = inbound.manifest_part().await?;
        if part.head.is_some() || part.chaining_values.is_empty() {
            return Err(broken("a later part of the manifest has values and no head"));
        }
        builder.push(&part.chaining_values)?;
    }
    Ok(builder.finish()?)
}

/// Takes exactly these runs. Pieces are verified and written beside each other while the next arrive.
async fn take_pieces(
    inbound: &mut Inbound,
    sink: &dyn PieceSink,
    runs: &[PieceRun],
) -> Result<(), TransferError> {
    let mut assembler = PieceAssembler::new(sink.manifest().layout(), runs)?;
    let mut puts = FuturesUnordered::new();
    while assembler.current().is_some() {
        let slice = tokio::select! {
            // A piece that is refused ends the push at once.
            Some(put) = puts.next() => {
                put?;
                continue;
            }
            slice = inbound.slice(), if puts.len() < PUTS => slice?,
        };
        if let Some((piece, data)) = assembler.push(slice)? {
            let put =
                async move { sink.put(piece, data).await.map_err(|error| sink_error(&error)) };
            puts.push(put);
        }
    }
    while let Some(put) = puts.next().await {
        put?;
    }
    Ok(())
}

/// What the sender is told; names of files on this machine are not for it.
fn sink_error(error: &SinkError) -> TransferError {
    match error {
        SinkError::Mismatch(mismatch) => return TransferError::Mismatch(*mismatch),
        SinkError::Exists(_) => {
            return TransferError::Refused("a file of that name exists already".to_owned());
        }
        _ => tracing::warn!(%error, "a file sent to this peer could not be stored"),
    }
    TransferError::Unavailable(match error {
        SinkError::NoSpace(_) | SinkError::NoRoom { .. } => {
            "the receiver has no space left".to_owned()
        }
        SinkError::Locked(_) => "the receiver is taking this file already".to_owned(),
        _ => "the receiver could not store the file".to_owned(),
    })
}

fn response(event: Outgoing) -> Encoded {
    Encoded::message(&v1::PushResponse { event: Some(event) })
}

fn broken(what: impl Into<String>) -> TransferError {
    TransferError::Protocol(what.into())
}
