//! Another peer as a source of pieces.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use p2pshare_core::content::{ContentId, Manifest, ManifestBuilder, PieceRun};
use p2pshare_core::identity::Access;
use p2pshare_core::transfer::{
    HaveStream, HaveUpdate, PieceSource, SegmentStream, SmallContent, TransferError,
};
use p2pshare_proto::v1;
use prost::Message;
use tonic::body::Body;
use tonic::{Status, Streaming};

use super::fetch;
use super::gathered::Gathered;
use super::grants::{GrantProvider, GrantRequest};
use super::remote::{RemotePeer, Route};
use super::watch::Watch;
use crate::net::grpc::{self, Encoded, Incoming, OutgoingBody, SegmentField};
use crate::net::limits::{MAX_MANY, MAX_REQUEST, MAX_SEGMENT_MESSAGE};
use crate::net::status::{maybe_unknown, transfer_error};
use crate::net::wire;

/// At most this is around each content in a request for many, in bytes, and around the request.
const FIELD: usize = 8;

/// A peer as a source of pieces. A clone shares the peer's connections.
///
/// Nothing that comes is trusted: a manifest is verified before it is given, segments are passed on for the receiver to
/// verify, numbers are bounded.
#[derive(Clone)]
pub struct RemoteSource {
    peer: RemotePeer,
    grants: Arc<dyn GrantProvider>,
}

impl RemoteSource {
    pub(super) fn new(peer: RemotePeer, grants: Arc<dyn GrantProvider>) -> Self {
        Self { peer, grants }
    }

    /// The peer.
    pub fn peer(&self) -> &RemotePeer {
        &self.peer
    }

    /// Begins to fetch runs, or others instead, few enough for one message. Also gives what has to be told what comes.
    pub(super) async fn open_fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<(Incoming<v1::FetchResponse>, Watch), TransferError> {
        let message = Encoded::message(&v1::FetchRequest {
            content_id: wire::content_id_bytes(content),
            runs: wire::runs_out(runs.iter().copied()),
            others: wire::runs_out(others.iter().copied()),
        });
        let (grants, request) = (&*self.grants, self.request(content));
        let call = self.peer.call(Route::Bulk, grants, request, |channel, grant| {
            let message = stream::iter([Ok(message.clone())]);
            let request =
                grant.request(Body::new(OutgoingBody::of_request(message, channel.traffic())));
            channel.call(grpc::FETCH, request, Some(SegmentField::FETCH), MAX_SEGMENT_MESSAGE)
        });
        call.await
    }

    /// Begins to fetch several contents, the first ones of these: as many as a request has room for. Also gives how many.
    pub(super) async fn open_many(
        &self,
        contents: &[SmallContent],
    ) -> Result<(Incoming<v1::FetchResponse>, Watch, usize), TransferError> {
        let Some(first) = contents.first() else {
            return Err(TransferError::Protocol("no content was asked for".to_owned()));
        };
        if self.peer.gives_one_at_a_time() {
            return Err(TransferError::Unsupported);
        }
        let (mut asked, mut len) = (v1::FetchManyRequest::default(), 0);
        let mut before = String::new();
        for SmallContent { content, len: length } in contents.iter().take(MAX_MANY) {
            let is_first = asked.contents.is_empty();
            let grant = match self.grants.grant(&self.request(content)).await {
                Ok(grant) => grant,
                Err(error) if is_first => return Err(error),
                // It is the first of the next call.
                Err(_) => break,
            };
            // That of the first is in the metadata.
            let is_new = !is_first && grant != before;
            let one = v1::SmallContent {
                content_id: wire::content_id_bytes(content),
                length: *length,
                grant: if is_new { grant.clone() } else { String::new() },
            };
            before = grant;
            len += one.encoded_len() + FIELD;
            if len > MAX_REQUEST {
                break;
            }
            asked.contents.push(one);
        }
        let message = Encoded::message(&asked);
        let (grants, request) = (&*self.grants, self.request(&first.content));
        let call = self.peer.call(Route::Bulk, grants, request, |channel, grant| {
            let message = stream::iter([Ok(message.clone())]);
            let request =
                grant.request(Body::new(OutgoingBody::of_request(message, channel.traffic())));
            let field = Some(SegmentField::FETCH);
            let answer = channel.call(grpc::FETCH_MANY, request, field, MAX_SEGMENT_MESSAGE);
            async move { answer.await.map_err(maybe_unknown) }
        });
        let (messages, watch) = call.await.inspect_err(|error| self.peer.learn_from(error))?;
        Ok((messages, watch, asked.contents.len()))
    }

    /// How long a peer may stall.
    pub(super) fn stall_timeout(&self) -> Duration {
        self.peer.limits().stall_timeout
    }

    /// The next message of an answer, within the time that a peer may stall.
    async fn next<T>(
        &self,
        messages: &mut Streaming<T>,
        watch: &Watch,
        content: &ContentId,
    ) -> Result<Option<T>, TransferError> {
        let message = watch.busy(self.stall_timeout(), messages.message()).await?;
        message.map_err(|status| transfer_error(&status, content))
    }

    fn request(&self, content: &ContentId) -> GrantRequest {
        GrantRequest { peer: self.peer.id(), content: *content, access: Access::Fetch }
    }
}

impl std::fmt::Debug for RemoteSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSource").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[async_trait]
impl PieceSource for RemoteSource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        let message = v1::ManifestRequest { content_id: wire::content_id_bytes(content) };
        let (grants, request) = (&*self.grants, self.request(content));
        let call = self.peer.call(Route::Control, grants, request, |channel, grant| {
            let request = grant.request(message.clone());
            async move { channel.transfer_client().manifest(request).await }
        });
        let (mut parts, mut watch) = call.await?;
        let first = self.next(&mut parts, &watch, content).await?;
        watch.alive();
        let head = first.as_ref().and_then(|part| part.head.as_ref());
        let (Some(first), Some(head)) = (&first, head) else {
            return Err(broken("the manifest has no head"));
        };
        let mut builder = ManifestBuilder::new(*content, head.length, &head.tail)?;
        builder.push(&first.chaining_values)?;
        while builder.missing() > 0 {
            let Some(part) = self.next(&mut parts, &watch, content).await? else {
                break;
            };
            watch.alive();
            // Without this a peer could go on forever.
            if part.head.is_some() || part.chaining_values.is_empty() {
                return Err(broken("a later part of the manifest has values and no head"));
            }
            builder.push(&part.chaining_values)?;
        }
        if self.next(&mut parts, &watch, content).await?.is_some() {
            return Err(broken("the manifest goes on after its end"));
        }
        watch.over();
        Ok(builder.finish()?)
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let message = v1::HaveRequest { content_id: wire::content_id_bytes(content) };
        let (grants, request) = (&*self.grants, self.request(content));
        let call = self.peer.call(Route::Control, grants, request, |channel, grant| {
            let request = grant.request(message.clone());
            async move { channel.transfer_client().have(request).await }
        });
        let call = call.await?;
        let content = *content;
        let updates = stream::try_unfold(Some(call), move |call| async move {
            let Some((mut messages, mut watch)) = call else {
                return Ok(None);
            };
            let update = next_update(&mut messages, &content).await?;
            // Later there may be no news for long.
            watch.over();
            Ok(update.map(|update| {
                let rest = (!update.complete).then_some((messages, watch));
                (update, rest)
            }))
        });
        Ok(updates.boxed())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        fetch::fetch(self.clone(), *content, runs.to_vec(), &[]).await
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        fetch::fetch(self.clone(), *content, runs.to_vec(), others).await
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        fetch::fetch_many(self.clone(), contents).await
    }
}

/// The next update, put together of its messages.
async fn next_update(
    messages: &mut Streaming<v1::HaveUpdate>,
    content: &ContentId,
) -> Result<Option<HaveUpdate>, TransferError> {
    let lost = |status: Status| transfer_error(&status, content);
    let mut gathered = Gathered::default();
    while let Some(message) = messages.message().await.map_err(lost)? {
        gathered.add(wire::runs_in(&message.gained)?)?;
        if !message.continues {
            let complete = message.complete;
            return Ok(Some(HaveUpdate { gained: gathered.finish()?, complete }));
        }
        if message.gained.is_empty() {
            return Err(broken("an update goes on without an end"));
        }
    }
    Ok(None)
}

fn broken(what: &str) -> TransferError {
    TransferError::Protocol(what.to_owned())
}
