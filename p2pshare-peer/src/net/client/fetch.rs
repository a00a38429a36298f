//! The bulk path of the client: the bytes of runs of pieces.
//!
//! Callers see a stream of [`FetchEvent`]s; how these come off the wire is known here and in `wire` alone.

use std::vec::IntoIter;

use futures::{StreamExt, stream};
use p2pshare_core::content::{ContentId, PieceRun};
use p2pshare_core::transfer::{FetchEvent, QueueNews, SegmentStream, SmallContent, TransferError};
use p2pshare_proto::v1;

use super::source::RemoteSource;
use super::watch::Watch;
use crate::net::grpc::{Incoming, Part};
use crate::net::limits::MAX_RUNS;
use crate::net::status::transfer_error;
use crate::net::wire;

/// Fetches the runs, in as many calls one after the other as their number takes, or others instead; these only fit into a
/// call that is the only one.
pub(super) async fn fetch(
    source: RemoteSource,
    content: ContentId,
    runs: Vec<PieceRun>,
    others: &[PieceRun],
) -> Result<SegmentStream, TransferError> {
    let first = runs.len().min(MAX_RUNS);
    let room = if runs.is_empty() { 0 } else { MAX_RUNS.saturating_sub(runs.len()) };
    let others = &others[..others.len().min(room)];
    let call = source.open_fetch(&content, &runs[..first], others);
    let (messages, watch) = call.await?;
    let mut rest = runs.into_iter();
    rest.by_ref().take(first).for_each(drop);
    let fetching = Fetching {
        source,
        content,
        messages,
        watch,
        rest,
        may_choose: !others.is_empty(),
        queued: false,
        queue: QueueNews::default(),
        call_begun: false,
        begun: false,
    };
    Ok(fetching.events())
}

/// Fetches several contents, in as many calls one after the other as they take.
pub(super) async fn fetch_many(
    source: RemoteSource,
    contents: &[SmallContent],
) -> Result<SegmentStream, TransferError> {
    let mut many = Many {
        source,
        rest: contents.to_vec(),
        current: stream::empty().boxed(),
        begin: 0,
        next_begin: 0,
        begun: false,
    };
    many.call().await?;
    let events = stream::try_unfold(many, |mut many| async move {
        let event = many.next().await?;
        Ok(event.map(|event| (event, many)))
    });
    Ok(events.boxed())
}

struct Many {
    source: RemoteSource,
    /// Contents that were not asked for yet.
    rest: Vec<SmallContent>,
    /// What comes of the call that runs.
    current: SegmentStream,
    /// Where its contents begin among all, and those of the next call.
    begin: u64,
    next_begin: u64,
    /// A segment of any call has come.
    begun: bool,
}

impl Many {
    /// Asks for as many as a call has room for.
    async fn call(&mut self) -> Result<(), TransferError> {
        let (messages, watch, asked) = self.source.open_many(&self.rest).await?;
        let asked: Vec<_> = self.rest.drain(..asked.min(self.rest.len())).collect();
        self.begin = self.next_begin;
        self.next_begin = asked.iter().map(|one| one.len).fold(self.begin, u64::saturating_add);
        let fetching = Fetching {
            source: self.source.clone(),
            content: asked.first().map_or_else(|| ContentId::of(b""), |first| first.content),
            messages,
            watch,
            rest: Vec::new().into_iter(),
            may_choose: false,
            queued: false,
            queue: QueueNews::default(),
            call_begun: false,
            begun: self.begun,
        };
        self.current = fetching.events();
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<FetchEvent>, TransferError> {
        loop {
            match self.current.next().await.transpose() {
                Ok(Some(event)) => {
                    self.begun |= matches!(event, FetchEvent::Segment(_));
                    return Ok(Some(event.later_by(self.begin)));
                }
                Ok(None) if self.rest.is_empty() => return Ok(None),
                Ok(None) => self.call().await?,
                Err(error) => {
                    self.source.peer().learn_from(&error);
                    return Err(error);
                }
            }
        }
    }
}

struct Fetching {
    source: RemoteSource,
    content: ContentId,
    messages: Incoming<v1::FetchResponse>,
    watch: Watch,
    /// Runs that were not asked for yet.
    rest: IntoIter<PieceRun>,
    /// Other pieces were named, and the peer has not said yet which it gives.
    may_choose: bool,
    /// The last that came was a place in the queue.
    queued: bool,
    /// The places of this call.
    queue: QueueNews,
    /// A segment of this call has come.
    call_begun: bool,
    /// A segment of any call has come.
    begun: bool,
}

impl Fetching {
    fn events(self) -> SegmentStream {
        let events = stream::try_unfold(self, |mut fetching| async move {
            let event = fetching.next().await?;
            Ok(event.map(|event| (event, fetching)))
        });
        events.boxed()
    }

    async fn next(&mut self) -> Result<Option<FetchEvent>, TransferError> {
        loop {
            let part = self.part().await?;
            self.watch.alive();
            let Some(part) = part else {
                self.watch.over();
                let runs: Vec<_> = self.rest.by_ref().take(MAX_RUNS).collect();
                if runs.is_empty() {
                    return Ok(None);
                }
                (self.messages, self.watch) =
                    self.source.open_fetch(&self.content, &runs, &[]).await?;
                (self.queued, self.call_begun) = (false, false);
                self.queue = QueueNews::default();
                continue;
            };
            let event = wire::fetch_event_in(part)?;
            if matches!(event, FetchEvent::Chosen { .. }) && !self.may_choose {
                let lie = "the source chose what it gives, which was not left to it".to_owned();
                return Err(TransferError::Protocol(lie));
            }
            let FetchEvent::Queued { position } = event else {
                (self.queued, self.call_begun, self.begun) = (false, true, true);
                self.may_choose = false;
                return Ok(Some(event));
            };
            // Else a peer could go on with this forever, unseen by whoever takes the bytes.
            if self.call_begun {
                let lie = "the source queued a fetch that had begun".to_owned();
                return Err(TransferError::Protocol(lie));
            }
            self.queue.take(position)?;
            self.queued = true;
            // A later call may have to wait again; whoever takes the bytes already knows nothing of calls.
            if !self.begun {
                return Ok(Some(event));
            }
        }
    }

    /// What comes next. In the queue a peer may be silent for as long as it takes; that it lives is known by pings.
    async fn part(&mut self) -> Result<Option<Part<v1::FetchResponse>>, TransferError> {
        let part = match self.queued {
            true => self.messages.next().await,
            false => {
                let time = self.source.stall_timeout();
                self.watch.busy(time, self.messages.next()).await?
            }
        };
        part.map_err(|status| transfer_error(&status, &self.content))
    }
}
