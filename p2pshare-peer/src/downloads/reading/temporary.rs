//! A download for readers alone.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use indicatif::HumanBytes;
use p2pshare_core::{
    content::{ContentId, PIECE_LEN},
    swarm::DownloadError,
    transfer::{Durability, FileSink, FileStamp, SinkError},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::cache::{Hold, Kept, Readers};
use crate::{
    download::{
        Arrived, DownloadOptions, FetchError, FileProgress, JobFiles, JobProgress, JobResults,
        Wanted, run_files,
    },
    downloads::{
        ReadError,
        engine::{Engine, Session},
    },
};

/// Downloads for readers alone that run at a time.
const MOST: usize = 64;

/// A download whose pieces do not come any more has told within this time how it ended.
const ENDING: Duration = Duration::from_secs(5);

/// A download for readers alone. It stops a while after the last of them.
#[derive(Debug)]
pub(super) struct Temporary {
    content: ContentId,
    progress: JobProgress,
    readers: Readers,
    outcome: watch::Sender<Option<Outcome>>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Complete(PathBuf, FileStamp),
    Failed(ReadError),
    /// Nobody read any more.
    Stopped,
}

/// Keeps a download for readers going.
#[derive(Debug)]
pub(in crate::downloads) struct Lease {
    temporary: Arc<Temporary>,
    hold: Arc<Hold>,
}

impl Lease {
    /// What keeps the content that came of it.
    pub(super) fn hold(&self) -> Arc<Hold> {
        self.hold.clone()
    }

    /// Why there is no room for a download whose pieces do not come any more; `None` if it ended for another reason.
    pub(in crate::downloads) async fn was_full(&self) -> Option<ReadError> {
        let mut outcome = self.temporary.outcome.subscribe();
        let ended = timeout(ENDING, outcome.wait_for(Option::is_some)).await.ok()?.ok()?.clone();
        match ended {
            Some(Outcome::Failed(error @ ReadError::NoRoom(_))) => Some(error),
            _ => None,
        }
    }
}

impl Temporary {
    fn new(content: ContentId) -> Self {
        Self {
            content,
            progress: JobProgress::default(),
            readers: Readers::none(),
            outcome: watch::Sender::new(None),
        }
    }

    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        Lease { temporary: self.clone(), hold: self.readers.hold() }
    }

    /// Waits until something is to be read, or it has ended.
    pub(super) async fn ready(&self) -> Result<FileProgress, Outcome> {
        let mut outcome = self.outcome.subscribe();
        let open = async {
            let file = self.progress.begun(&self.content).await;
            match file.opened().await {
                Some(_) => file,
                // It came whole or failed: that is told next.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            file = open => Ok(file),
            ended = outcome.wait_for(Option::is_some) => {
                Err(ended.ok().and_then(|ended| ended.clone()).unwrap_or(Outcome::Stopped))
            }
        }
    }
}

impl Engine {
    /// The download of a content for readers: the one that runs, or a new one.
    pub(super) fn temporary(
        self: &Arc<Self>,
        session: &Arc<Session>,
        content: ContentId,
        size: Option<u64>,
    ) -> Result<(Arc<Temporary>, Lease), ReadError> {
        let mut state = self.readings.state();
        if let Some(running) = state.running.get(&content) {
            return Ok((running.clone(), running.lease()));
        }
        if state.running.len() >= MOST {
            let many = format!("{MOST} contents are read at the moment: end some of them first");
            return Err(ReadError::Failed(many));
        }
        let temporary = Arc::new(Temporary::new(content));
        let lease = temporary.lease();
        state.cache.take(&content);
        state.running.insert(content, temporary.clone());
        drop(state);
        let run = self.clone().run_temporary(session.clone(), temporary.clone(), size);
        let run = tokio::spawn(Box::pin(run));
        let (engine, failed) = (self.clone(), temporary.clone());
        tokio::spawn(async move {
            if run.await.is_err() {
                // Or those who read would wait for ever.
                engine.readings.state().running.remove(&content);
                let fault = ReadError::Failed("the program has a fault: see its log".to_owned());
                failed.outcome.send_replace(Some(Outcome::Failed(fault)));
            }
        });
        Ok((temporary, lease))
    }

    async fn run_temporary(
        self: Arc<Self>,
        session: Arc<Session>,
        temporary: Arc<Temporary>,
        size: Option<u64>,
    ) {
        let content = temporary.content;
        let stop = self.stop.child_token();
        let target = self.readings.target(&content);
        // A size that is not known makes it one that is fetched in pieces, which asks the sources.
        let wanted =
            Wanted { content, size: size.unwrap_or(PIECE_LEN + 1), target: target.clone() };
        let options = DownloadOptions {
            overwrite: true,
            durability: Durability::None,
            patience: self.options.read_patience,
            serving: session.connection.serving.clone(),
            downloader: self.downloader.clone(),
            known: self.known.clone(),
            ..DownloadOptions::default()
        };
        let files = match wanted.is_small() {
            true => JobFiles {
                small: stream::iter([vec![(1, wanted)]]).boxed(),
                large: stream::empty().boxed(),
            },
            false => JobFiles {
                small: stream::empty().boxed(),
                large: stream::iter([(1, wanted)]).boxed(),
            },
        };
        let result = TheResult {
            progress: &temporary.progress,
            held: AtomicU64::new(0),
            result: Mutex::default(),
        };
        let job =
            run_files(session.locator.clone(), files, options, &temporary.progress, &result, &stop);
        let watch = async {
            let idle = temporary.readers.idle(self.options.read_grace);
            if stop.run_until_cancelled(idle).await.is_some() {
                stop.cancel();
            }
        };
        tokio::join!(
            async {
                job.await;
                stop.cancel();
            },
            watch
        );
        let held = result.held.load(Relaxed);
        let result = result.result.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = outcome(result, &target);
        if self.keep(&temporary, target, &outcome, held).await {
            // Whoever reads begins again, with the room that there is now.
            outcome = Outcome::Stopped;
        }
        temporary.outcome.send_replace(Some(outcome));
        tokio::spawn(self.evict_later(temporary.readers.clone()));
    }

    /// Removes what there is no place for once nobody reads what came of a download.
    async fn evict_later(self: Arc<Self>, readers: Readers) {
        let idle = readers.idle(self.options.read_grace);
        if self.stop.run_until_cancelled(idle).await.is_some() {
            let evicted = self.readings.state().cache.evict(None);
            remove(evicted).await;
        }
    }

    /// Keeps what came of a download for readers, and removes what there is no place for. True if the disk was full and
    /// something else could be removed.
    async fn keep(
        &self,
        temporary: &Temporary,
        path: PathBuf,
        outcome: &Outcome,
        held: u64,
    ) -> bool {
        let is_full = matches!(outcome, Outcome::Failed(ReadError::NoRoom(_)));
        let (whole, bytes) = match outcome {
            Outcome::Complete(_, stamp) => (Some(*stamp), stamp.len),
            Outcome::Failed(_) | Outcome::Stopped => (None, held),
        };
        let content = temporary.content;
        let readers = temporary.readers.clone();
        let kept = Kept { path, bytes, whole, used: Instant::now(), readers };
        let (evicted, has_room) = {
            let mut state = self.readings.state();
            state.running.remove(&content);
            let mut evicted = if is_full { state.cache.empty() } else { Vec::new() };
            let has_room = !evicted.is_empty();
            let is_nothing = whole.is_none() && bytes == 0;
            // Nobody has use for a part that cannot become whole, and others may need its room.
            if is_nothing || (is_full && !has_room) {
                evicted.push((content, kept));
            } else {
                state.cache.put(content, kept);
            }
            if !is_full {
                // Somebody may be about to read what is whole.
                evicted.extend(state.cache.evict(whole.map(|_| content)));
            }
            (evicted, has_room)
        };
        if is_full {
            tracing::warn!(%content, has_room, "no room for what is read");
        }
        remove(evicted).await;
        has_room
    }
}

/// Removes the files of contents that are not kept any more.
async fn remove(evicted: Vec<(ContentId, Kept)>) {
    for (content, kept) in evicted {
        let removed = match kept.whole {
            Some(_) => tokio::fs::remove_file(&kept.path).await.map_err(|error| error.to_string()),
            None => match FileSink::discard(&kept.path, &content).await {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(error) = removed {
            tracing::debug!(%content, %error, "a content that was read stays");
        }
    }
}

fn outcome(result: Option<Result<Option<FileStamp>, FetchError>>, target: &Path) -> Outcome {
    match result {
        Some(Ok(Some(stamp))) => Outcome::Complete(target.to_owned(), stamp),
        Some(Ok(None)) => Outcome::Failed(ReadError::Changed),
        None | Some(Err(FetchError::Download(DownloadError::Cancelled))) => Outcome::Stopped,
        Some(Err(FetchError::NotFound(content))) => Outcome::Failed(ReadError::NotFound(content)),
        Some(Err(FetchError::Download(DownloadError::Sink(SinkError::NoRoom {
            path,
            missing,
            free,
        })))) => {
            let folder = path.parent().unwrap_or(&path).display();
            let (missing, free) = (HumanBytes(missing), HumanBytes(free));
            Outcome::Failed(ReadError::NoRoom(format!(
                "to read it takes {missing} on the disk of {folder}, where {free} are free: make room there and read it \
                 again, or download it to another disk"
            )))
        }
        Some(Err(FetchError::Download(DownloadError::Sink(SinkError::NoSpace(path))))) => {
            let folder = path.parent().unwrap_or(&path).display();
            Outcome::Failed(ReadError::NoRoom(format!(
                "the disk of {folder} is full: make room there and read it again"
            )))
        }
        Some(Err(error)) if error.is_no_source() => {
            Outcome::Failed(ReadError::NoSource(error.to_string()))
        }
        Some(Err(error)) => Outcome::Failed(ReadError::Failed(error.to_string())),
    }
}

/// What became of the one content, and how much of it was there at the end.
struct TheResult<'a> {
    progress: &'a JobProgress,
    held: AtomicU64,
    result: Mutex<Option<Result<Option<FileStamp>, FetchError>>>,
}

#[async_trait]
impl JobResults for TheResult<'_> {
    async fn settled(&self, number: u64, _: Wanted, result: Result<Arrived, FetchError>) {
        let file = self.progress.file(number);
        self.held.store(file.map_or(0, |file| file.verified()), Relaxed);
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(result.map(|arrived| arrived.stamp));
    }
}
