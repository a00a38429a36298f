//! Between the messages of the protocol and the types of the library. What comes in is checked here as far as that
//! goes without knowing the content.

use bytes::Bytes;
use p2pshare_core::content::{ContentId, Manifest, PieceIndex, PieceRun};
use p2pshare_core::transfer::{FetchEvent, HaveUpdate, Segment, SmallContent, TransferError};
use p2pshare_proto::v1;

use super::grpc::{Encoded, Part, SegmentField};
use super::limits::{MANIFEST_PART, MAX_MANY, MAX_RUNS};

pub(crate) fn content_id(bytes: &[u8]) -> Result<ContentId, TransferError> {
    ContentId::from_slice(bytes).map_err(|error| TransferError::Protocol(error.to_string()))
}

pub(crate) fn content_id_bytes(content: &ContentId) -> Bytes {
    Bytes::copy_from_slice(content.as_bytes())
}

/// What is asked for, and what would do as well.
pub(crate) fn wish_in(
    request: &v1::FetchRequest,
) -> Result<(Vec<PieceRun>, Vec<PieceRun>), TransferError> {
    let v1::FetchRequest { runs, others, .. } = request;
    check_count(runs.len().saturating_add(others.len()))?;
    Ok((runs_in(runs)?, runs_in(others)?))
}

/// Several contents that are asked for together; that their lengths are those of small ones is checked elsewhere.
pub(crate) fn many_in(request: &v1::FetchManyRequest) -> Result<Vec<SmallContent>, TransferError> {
    let contents = &request.contents;
    if contents.len() > MAX_MANY {
        return Err(TransferError::Protocol(format!(
            "a message has at most {MAX_MANY} contents, this one has {}",
            contents.len()
        )));
    }
    let content_in = |one: &v1::SmallContent| {
        Ok(SmallContent { content: content_id(&one.content_id)?, len: one.length })
    };
    contents.iter().map(content_in).collect()
}

/// Runs from outside; that they lie within the content is for the source to check.
pub(crate) fn runs_in(runs: &[v1::PieceRun]) -> Result<Vec<PieceRun>, TransferError> {
    check_count(runs.len())?;
    Ok(runs.iter().map(run_in).collect())
}

fn check_count(runs: usize) -> Result<(), TransferError> {
    if runs > MAX_RUNS {
        return Err(TransferError::Protocol(format!(
            "a message has at most {MAX_RUNS} runs of pieces, this one has {runs}"
        )));
    }
    Ok(())
}

fn run_in(run: &v1::PieceRun) -> PieceRun {
    PieceRun::new(PieceIndex(run.start), run.count)
}

pub(crate) fn runs_out(runs: impl IntoIterator<Item = PieceRun>) -> Vec<v1::PieceRun> {
    let run_out = |run: PieceRun| v1::PieceRun { start: run.start.0, count: run.count };
    runs.into_iter().map(run_out).collect()
}

/// The parts of a manifest, made one at a time as they are asked for.
pub(crate) fn manifest_parts(
    manifest: Manifest,
) -> impl Iterator<Item = v1::ManifestPart> + Send + 'static {
    let head =
        v1::ManifestHead { length: manifest.len(), tail: Bytes::copy_from_slice(manifest.tail()) };
    let first = v1::ManifestPart { head: Some(head), chaining_values: Bytes::new() };
    let len = manifest.chaining_values().as_flattened().len();
    let rest = (0..len).step_by(MANIFEST_PART).map(move |start| {
        let values = manifest.chaining_values().as_flattened();
        let end = values.len().min(start + MANIFEST_PART);
        v1::ManifestPart {
            head: None,
            chaining_values: Bytes::copy_from_slice(&values[start..end]),
        }
    });
    std::iter::once(first).chain(rest)
}

/// An update of what is held, in as many messages as it takes.
pub(crate) fn have_updates_out(update: HaveUpdate) -> Vec<v1::HaveUpdate> {
    let count = update.gained.len().div_ceil(MAX_RUNS).max(1);
    let mut runs = update.gained.into_iter();
    (1..=count)
        .map(|number| v1::HaveUpdate {
            gained: runs_out(runs.by_ref().take(MAX_RUNS)),
            complete: update.complete && number == count,
            continues: number < count,
        })
        .collect()
}

/// `None` for what the protocol has no message for: the type may grow.
pub(crate) fn fetch_event_out(event: FetchEvent) -> Option<Encoded> {
    use v1::fetch_response::Event;
    let event = match event {
        FetchEvent::Queued { position } => Event::Queued(v1::Queued { position }),
        FetchEvent::Chosen { runs } => Event::Chosen(v1::Chosen { runs: runs_out(runs) }),
        FetchEvent::Segment(segment) => {
            return Some(Encoded::segment(SegmentField::FETCH, segment));
        }
        _ => return None,
    };
    Some(Encoded::message(&v1::FetchResponse { event: Some(event) }))
}

pub(crate) fn fetch_event_in(part: Part<v1::FetchResponse>) -> Result<FetchEvent, TransferError> {
    use v1::fetch_response::Event;
    let response = match part {
        Part::Slice(segment) => return Ok(FetchEvent::Segment(segment)),
        Part::Message(response) => response,
    };
    match response.event {
        Some(Event::Queued(v1::Queued { position })) => Ok(FetchEvent::Queued { position }),
        Some(Event::Chosen(v1::Chosen { runs })) => {
            Ok(FetchEvent::Chosen { runs: runs_in(&runs)? })
        }
        Some(Event::Segment(segment)) => Ok(FetchEvent::Segment(segment_in(segment))),
        None => Err(TransferError::Protocol(
            "a message of the fetch is no place in the queue, no choice and no segment".to_owned(),
        )),
    }
}

pub(crate) fn segment_in(segment: v1::Segment) -> Segment {
    Segment { offset: segment.offset, data: segment.data }
}
