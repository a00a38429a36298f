//! Choosing what a server gives, so that those who download from it at the same time can give it to each other.
//!
//! Downloaders who ask a seed at the same time cannot know what it gives the others. So they say also what else would do
//! as well, and the one who knows chooses when the slot is there: what was given least often.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{FetchEvent, PieceSource, Segment, SegmentStream, TransferError, UploadSlots};
use crate::{
    content::{ContentId, PIECE_LEN, PieceIndex, PieceRun},
    identity::Username,
};

/// Of how many pieces that would do as well a server considers at most.
const MAX_OTHERS: usize = 8192;

/// Who asks for more pieces at once gets what he asks for.
const MAX_CHOSEN: usize = 1024;

/// What was chosen is told so soon, unless the source has a queue.
const SOON: Duration = Duration::from_secs(1);

/// What was given is forgotten when it is this much.
const MAX_GIVEN: usize = 1 << 20;

/// Knows how often a server has given each piece of the contents that are being fetched from it. A clone is another
/// handle on the same knowledge.
///
/// A content is forgotten once nobody fetches it or waits to. Memory: a few bytes for each piece given.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    contents: Arc<Mutex<HashMap<ContentId, Given>>>,
}

/// How often the pieces of a content were given, or are being given.
#[derive(Debug, Default)]
struct Given {
    /// Fetches that run or wait.
    fetches: usize,
    counts: HashMap<PieceIndex, u32>,
}

/// A fetch that runs or waits. What was chosen for it and not given when it is dropped does not count as given.
#[derive(Debug)]
pub struct Spreading {
    spread: Spread,
    content: ContentId,
    /// What was chosen and was not given whole yet.
    due: VecDeque<PieceIndex>,
}

impl Spread {
    /// Somebody wants to fetch a content.
    #[must_use]
    pub fn begin(&self, content: ContentId) -> Spreading {
        self.contents().entry(content).or_default().fetches += 1;
        Spreading { spread: self.clone(), content, due: VecDeque::new() }
    }

    /// A fetch of as many pieces as `runs` has, out of `runs` and `others`, once a slot is there; if there are others the
    /// stream says what was chosen ([`FetchEvent::Chosen`]). Without others it is a fetch of `runs`.
    ///
    /// # Errors
    ///
    /// As [`UploadSlots::run`].
    pub fn serve(
        &self,
        slots: &UploadSlots,
        user: Username,
        source: Arc<dyn PieceSource>,
        content: ContentId,
        (runs, others): (Vec<PieceRun>, Vec<PieceRun>),
    ) -> Result<SegmentStream, TransferError> {
        let mut spreading = self.begin(content);
        slots.run(user, move || async move {
            let chosen = spreading.choose(&runs, &others);
            let stream = source.fetch(&content, &chosen).await?;
            let stream = spreading.follow(stream);
            Ok(match others.is_empty() {
                true => stream,
                false => tell(FetchEvent::Chosen { runs: chosen }, stream),
            })
        })
    }

    /// How many contents are known of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contents().len()
    }

    /// Whether nobody fetches anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<ContentId, Given>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spreading {
    /// Chooses as many pieces as `runs` has out of `runs` and `others`: those that were given least often; of several
    /// those that are named first. They count as given from now on. Without others these are just the runs, whatever they
    /// are: whether the content has them is for the source to check.
    pub fn choose(&mut self, runs: &[PieceRun], others: &[PieceRun]) -> Vec<PieceRun> {
        let wanted: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
        let mut contents = self.spread.contents();
        let given = contents.entry(self.content).or_default();
        let pieces = match usize::try_from(wanted) {
            Ok(count @ 1..=MAX_CHOSEN) => given.least(count, runs, others),
            _ => return runs.to_vec(),
        };
        if given.counts.len() > MAX_GIVEN {
            given.counts.clear();
        }
        for piece in &pieces {
            *given.counts.entry(*piece).or_default() += 1;
        }
        drop(contents);
        let chosen = match others.is_empty() {
            true => runs.to_vec(),
            false => PieceRun::join(pieces.iter().copied()),
        };
        self.due.extend(pieces);
        chosen
    }

    /// The next of the pieces that were chosen was given whole.
    pub fn gave_piece(&mut self) {
        self.due.pop_front();
    }

    fn gave(&mut self, segment: &Segment) {
        let end = segment.offset.saturating_add(segment.data.len() as u64);
        if end.is_multiple_of(PIECE_LEN) {
            self.gave_piece();
        }
    }

    /// The same stream, watched.
    fn follow(self, stream: SegmentStream) -> SegmentStream {
        stream::unfold((self, stream), |(mut spreading, mut stream)| async move {
            let event = stream.next().await;
            match &event {
                Some(Ok(FetchEvent::Segment(segment))) => spreading.gave(segment),
                // The last piece of a content ends before a whole one would.
                None => spreading.due.clear(),
                _ => {}
            }
            Some((event?, (spreading, stream)))
        })
        .boxed()
    }
}

/// The stream, and what was chosen before anything of it that is no place in a queue, or its end: a source may have a queue
/// of its own. Without one that is told soon, so that whoever waits notices a source that hangs.
fn tell(chosen: FetchEvent, stream: SegmentStream) -> SegmentStream {
    let telling = (stream.peekable(), Some(chosen), Some(Instant::now() + SOON));
    let told = stream::unfold(telling, |(mut stream, mut chosen, mut soon)| async move {
        loop {
            if chosen.is_none() {
                let event = stream.next().await;
                // What is known is not taken back.
                if matches!(event, Some(Ok(FetchEvent::Queued { .. }))) {
                    continue;
                }
                return Some((event?, (stream, None, None)));
            }
            let mut next = Pin::new(&mut stream);
            let is_queued = match soon {
                Some(soon) => timeout_at(soon, next.as_mut().peek()).await.ok().flatten(),
                None => next.as_mut().peek().await,
            }
            .is_some_and(|event| matches!(event, Ok(FetchEvent::Queued { .. })));
            let event = match is_queued {
                true => {
                    soon = None;
                    stream.next().await?
                }
                false => Ok(chosen.take()?),
            };
            return Some((event, (stream, chosen, soon)));
        }
    });
    told.boxed()
}

impl Drop for Spreading {
    fn drop(&mut self) {
        let mut contents = self.spread.contents();
        let Some(given) = contents.get_mut(&self.content) else {
            return;
        };
        for piece in self.due.drain(..) {
            if let Some(count) = given.counts.get_mut(&piece) {
                *count -= 1;
                if *count == 0 {
                    given.counts.remove(&piece);
                }
            }
        }
        given.fetches -= 1;
        if given.fetches == 0 {
            contents.remove(&self.content);
        }
    }
}

impl Given {
    /// So many pieces, each once, given least often, then named first.
    fn least(&self, wanted: usize, runs: &[PieceRun], others: &[PieceRun]) -> Vec<PieceIndex> {
        let asked = runs.iter().flat_map(PieceRun::iter);
        if others.is_empty() {
            return asked.collect();
        }
        let others = others.iter().flat_map(PieceRun::iter).take(MAX_OTHERS);
        let mut seen = HashSet::new();
        let mut never = 0;
        let mut pieces = Vec::new();
        for piece in asked.chain(others) {
            if never == wanted {
                break;
            }
            if seen.insert(piece) {
                let count = self.counts.get(&piece).copied().unwrap_or(0);
                never += usize::from(count == 0);
                pieces.push((count, piece));
            }
        }
        pieces.sort_by_key(|(count, _)| *count);
        pieces.truncate(wanted);
        pieces.into_iter().map(|(_, piece)| piece).collect()
    }
}
