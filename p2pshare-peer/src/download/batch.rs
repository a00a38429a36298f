//! Small files that one source gives in one call.

use std::{
    collections::{HashMap, VecDeque},
    iter, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use p2pshare_core::{
    content::Manifest,
    identity::PeerId,
    swarm::{Candidate, download_many},
    transfer::{Arrival, SmallContent},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Wanted, fetch::Fetcher, locator::Locator, place::Place};

/// About so many bytes are asked for in one call: a slot of a source is that of one downloader meanwhile.
const MAX_BYTES: u64 = 4 << 20;

/// And so many contents at most, about what a request has room for with a grant for each.
const MAX_CONTENTS: usize = 96;

/// Fewer are fetched one by one.
const MIN_CONTENTS: usize = 4;

/// A source that has not given what it was asked for together so many times is not asked so again.
const MAX_FAILURES: u32 = 3;

/// A small file that is to be fetched.
#[derive(Debug)]
pub(super) struct File {
    pub(super) number: u64,
    pub(super) wanted: Wanted,
    pub(super) place: Place,
    /// The content, if it has come already.
    pub(super) came: Option<Came>,
}

/// A content that has come whole, verified.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) manifest: Manifest,
    pub(super) data: Vec<Bytes>,
    /// Who sent it.
    pub(super) from: Option<Candidate>,
}

/// Files, and the source that is asked for all of them in one call, if there is one.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Those with the same content together.
    contents: Vec<Vec<File>>,
    from: Option<Candidate>,
    bytes: u64,
}

/// How the batches of a job are fetched. A clone is another handle on the same.
#[derive(Clone)]
pub(super) struct Batching {
    locator: Arc<Locator>,
    cancel: CancellationToken,
    /// How often a source did not give what it was asked for together.
    failures: Arc<Mutex<HashMap<PeerId, u32>>>,
}

/// Shares out a group of files: what the same source has goes together, each source being that which the index names first
/// for a content, so that all sources get their part. What is to be had in no such way makes a batch without a source.
pub(super) async fn of(files: Vec<File>, fetcher: &Fetcher, batching: &Batching) -> Vec<Batch> {
    let mut others = Batch::default();
    let (mut contents, mut known): (Vec<Vec<File>>, HashMap<_, usize>) = Default::default();
    for file in files {
        if !is_wanted(&file, fetcher) {
            others.contents.push(vec![file]);
            continue;
        }
        let number = *known.entry(file.wanted.content).or_insert(contents.len());
        match contents.get_mut(number) {
            Some(same) => same.push(file),
            None => contents.push(vec![file]),
        }
    }
    let mut by_source: HashMap<PeerId, Batch> = HashMap::new();
    let mut batches = Vec::new();
    for files in contents {
        let Some(File { wanted, .. }) = files.first() else { continue };
        let sources = fetcher.known_sources(&wanted.content).await;
        let Some(first) = sources.into_iter().next().filter(|first| batching.may_ask(first.id))
        else {
            others.contents.push(files);
            continue;
        };
        let batch = by_source.entry(first.id).or_default();
        batch.bytes = batch.bytes.saturating_add(wanted.size);
        batch.contents.push(files);
        batch.from = Some(first);
        if batch.bytes >= MAX_BYTES || batch.contents.len() >= MAX_CONTENTS {
            batches.push(mem::take(batch));
        }
    }
    batches.extend(by_source.into_values());
    // A source of few is not worth that the files of others wait for it.
    let (batches, few): (Vec<_>, Vec<_>) =
        batches.into_iter().partition(|batch| batch.contents.len() >= MIN_CONTENTS);
    others.contents.extend(few.into_iter().flat_map(|batch| batch.contents));
    iter::once(others).chain(batches).collect()
}

/// Whether a file is to be fetched, as far as is known, and not empty.
fn is_wanted(File { wanted, place, .. }: &File, fetcher: &Fetcher) -> bool {
    wanted.size > 0
        && (place.is_free || fetcher.sink.overwrite)
        && !place.has(&wanted.content)
        && place.check().is_ok()
}

impl Batching {
    pub(super) fn new(locator: Arc<Locator>, cancel: CancellationToken) -> Self {
        Self { locator, cancel, failures: Arc::default() }
    }

    /// Whether a source is asked for several contents together.
    fn may_ask(&self, source: PeerId) -> bool {
        self.failures().get(&source).is_none_or(|failures| *failures < MAX_FAILURES)
    }

    /// The files of a batch, each as soon as its content has come, and then those whose contents have not come.
    pub(super) fn files(&self, Batch { contents, from, .. }: Batch) -> BoxStream<'static, File> {
        let Some(from) = from else {
            return stream::iter(contents.into_iter().flatten()).boxed();
        };
        let small =
            |file: &File| SmallContent { content: file.wanted.content, len: file.wanted.size };
        let wanted: Vec<_> = contents.iter().filter_map(|files| files.first().map(small)).collect();
        // By itself: what waits until its files are taken must hold nothing that those wait for which are fetched.
        let (sender, arrivals) = mpsc::channel(1);
        let asking = self.clone().ask(from.clone(), wanted, sender);
        let asking = AbortOnDropHandle::new(tokio::spawn(asking));
        let coming =
            Coming { contents, from, arrivals: Some((arrivals, asking)), ready: VecDeque::new() };
        stream::unfold(coming, Coming::next).boxed()
    }

    /// Asks the source, and hands on what comes. When it is cancelled each file ends by itself.
    async fn ask(
        self,
        from: Candidate,
        wanted: Vec<SmallContent>,
        arrivals: mpsc::Sender<Arrival>,
    ) {
        let asking = async {
            let contents: Vec<_> = wanted.iter().map(|one| one.content).collect();
            if let Err(error) = self.locator.prime(&contents).await {
                tracing::debug!(%error, "asking for many contents at once failed");
            }
            let mut coming = download_many(from.source.clone(), wanted);
            while let Some(arrival) = coming.next().await {
                match arrival {
                    Ok(arrival) => {
                        if arrivals.send(arrival).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, from = %from.label, "not all small files came together");
                        *self.failures().entry(from.id).or_default() += 1;
                    }
                }
            }
        };
        self.cancel.run_until_cancelled(asking).await;
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<PeerId, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Coming {
    /// Without files if it has come.
    contents: Vec<Vec<File>>,
    from: Candidate,
    /// `None` once they have ended.
    arrivals: Option<(mpsc::Receiver<Arrival>, AbortOnDropHandle<()>)>,
    ready: VecDeque<File>,
}

impl Coming {
    async fn next(mut self) -> Option<(File, Self)> {
        loop {
            if let Some(file) = self.ready.pop_front() {
                return Some((file, self));
            }
            match self.arrivals.as_mut()?.0.recv().await {
                Some(Arrival { number, manifest, data }) => {
                    let files = self.contents.get_mut(number).map(mem::take);
                    let came = Came { manifest, data, from: Some(self.from.clone()) };
                    let came_with = |file| File { came: Some(came.clone()), ..file };
                    self.ready.extend(files.into_iter().flatten().map(came_with));
                }
                None => {
                    self.arrivals = None;
                    self.ready.extend(mem::take(&mut self.contents).into_iter().flatten());
                }
            }
        }
    }
}
