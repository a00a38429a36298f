//! Answers of the call `FetchMany`.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{StreamExt, stream};
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::{PeerId, Reach, Username};
use p2pshare_core::transfer::{
    Admission, FetchEvent, GuardedSource, SegmentStream, SmallContent, TransferError, many_offsets,
};
use p2pshare_proto::v1;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::pump::{self, Failure, Outbound, Reader};
use super::{Answers, ServerServices, bearer, fetch};
use crate::net::grpc::Encoded;
use crate::net::limits::MAX_MANY;
use crate::net::status::transfer_status;
use crate::net::uploads::Key;
use crate::net::wire;

/// Contents that a user was let in to fetch.
pub(super) struct Admitted {
    user: Username,
    contents: Vec<SmallContent>,
    /// Where each begins, and the last one ends.
    offsets: Vec<u64>,
    /// For whom each was found.
    reaches: Vec<Reach>,
}

/// Asks for each content that is asked for whether the caller is let in; the first that is refused ends it.
pub(super) fn admit(
    asked: &v1::FetchManyRequest,
    metadata: &MetadataMap,
    ask: impl Fn(Option<&str>, ContentId) -> Result<Admission, Status>,
) -> Result<Admitted, Status> {
    let contents = wire::many_in(asked).map_err(|error| transfer_status(&error))?;
    let offsets = many_offsets(&contents).map_err(|error| transfer_status(&error))?;
    let mut credential = bearer(metadata);
    let mut reaches = Vec::with_capacity(contents.len());
    let mut user = None;
    for (asked, SmallContent { content, .. }) in asked.contents.iter().zip(&contents) {
        if !asked.grant.is_empty() {
            credential = Some(&asked.grant);
        }
        let admission = ask(credential, *content)?;
        if *user.get_or_insert_with(|| admission.user.clone()) != admission.user {
            let error = TransferError::Protocol("the grants are of several users".to_owned());
            return Err(transfer_status(&error));
        }
        reaches.push(admission.reach);
    }
    let none = || TransferError::Protocol(format!("1 to {MAX_MANY} contents may be asked for"));
    let user = user.ok_or_else(|| transfer_status(&none()))?;
    Ok(Admitted { user, contents, offsets, reaches })
}

/// Waits for an upload slot, which is that of all the contents, and then sends them.
pub(super) fn answer(
    services: ServerServices,
    peer: Option<PeerId>,
    admitted: Admitted,
    reader: Reader,
) -> Answers<Encoded> {
    pump::spawn(reader, move |answers| run(services, peer, admitted, answers))
}

async fn run(
    services: ServerServices,
    peer: Option<PeerId>,
    Admitted { user, contents, offsets, reaches }: Admitted,
    answers: Outbound<Encoded>,
) -> Result<(), Failure> {
    let ServerServices { source, slots, upload_rate, uploads, .. } = services;
    let list = |content| uploads.begin(Key { user: user.clone(), peer, content, pushed: false });
    // Each with its end.
    let mut coming: VecDeque<_> =
        contents.iter().map(|one| one.content).zip(offsets.iter().skip(1).copied()).collect();
    let mut listed = coming.front().and_then(|(first, _)| list(*first));
    let start = move || async move { Ok(all(&source, &contents, &offsets, &reaches)) };
    let mut events = upload_rate.throttle(slots.run(user.clone(), start)?);
    while let Some(event) = events.next().await {
        let event = event?;
        match &event {
            FetchEvent::Queued { position } => {
                listed.iter().for_each(|listed| listed.queued(*position));
            }
            FetchEvent::Segment(segment) => {
                let before = coming.len();
                while coming.pop_front_if(|(_, end)| *end <= segment.offset).is_some() {}
                if coming.len() < before {
                    listed = coming.front().and_then(|(content, _)| list(*content));
                }
                listed.iter().for_each(|listed| listed.sent(segment.data.len() as u64));
            }
            _ => {}
        }
        fetch::give(&answers, event).await?;
    }
    Ok(())
}

/// What the source has of the contents for those for whom each was found.
fn all(
    source: &Arc<dyn GuardedSource>,
    contents: &[SmallContent],
    offsets: &[u64],
    reaches: &[Reach],
) -> SegmentStream {
    let mut asked = Vec::new();
    let (mut contents, mut offsets) = (contents, offsets);
    for neighbours in reaches.chunk_by(|one, next| one == next) {
        let (Some(reach), Some(begin)) = (neighbours.first(), offsets.first()) else { break };
        let (these, others) = contents.split_at(neighbours.len().min(contents.len()));
        asked.push((source.within(*reach), these.to_vec(), *begin));
        contents = others;
        offsets = offsets.get(neighbours.len()..).unwrap_or_default();
    }
    let streams = stream::iter(asked).then(|(source, contents, begin)| async move {
        let events = match source.fetch_many(&contents).await {
            Ok(events) => events,
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        events.map(move |event| Ok(event?.later_by(begin)))
    });
    streams.flatten().boxed()
}
