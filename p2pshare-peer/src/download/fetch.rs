//! Fetching one content into one file.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use p2pshare_core::{
    content::{ContentId, HashError, Manifest, hash_bytes},
    identity::PeerId,
    swarm::{
        Candidate, Discovery, DownloadError, DownloadOptions as SwarmOptions, Downloader,
        ManifestOptions, Report, SmallDownload, download_small, manifest_from,
    },
    transfer::{FileSink, FileStamp, SharedFile, SinkError, SinkOptions, SmallNews},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Copies, FileProgress, Serving, Wanted,
    batch::Came,
    copies::Turn,
    discovery::IndexDiscovery,
    error::{FetchError, is_changed, is_gone},
    existing::{CancelOnDrop, Hashed, hash_existing},
    locator::{Age, Locator},
    patience::Deadline,
    place::Place,
    replaced::keep_common,
};

/// So long may a manifest take: that of a file of 100 GB has some 3 MB, and lines may be slow.
const SLOWEST_MANIFEST: Duration = Duration::from_secs(600);

/// A content that is where it was to go.
#[derive(Debug)]
pub struct Arrived {
    /// How it came.
    pub how: Fetched,
    /// What its very file was when it was complete; `None` if that is not known, as when it changed meanwhile.
    pub stamp: Option<FileStamp>,
}

/// How a content was fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fetched {
    /// The file was there already, with the very content.
    AlreadyThere,
    /// It came in one call from one source.
    Small(Candidate),
    /// Nothing had to be fetched: an empty file.
    Empty,
    /// It came in pieces.
    Pieces(Report),
}

/// What is there under the name of a file that is to be fetched.
enum There {
    /// The very content.
    Content(Arrived),
    /// Another file, which is replaced.
    Other(SharedFile),
    /// Nothing, or nothing of use.
    Nothing,
}

/// What fetching works with, the same for all contents of a job.
pub(super) struct Fetcher {
    pub(super) locator: Arc<Locator>,
    pub(super) copies: Copies,
    pub(super) downloader: Downloader,
    pub(super) sink: SinkOptions,
    pub(super) swarm: SwarmOptions,
    /// How long to wait for a source when none is online.
    pub(super) patience: Duration,
    pub(super) serving: Option<Serving>,
    pub(super) cancel: CancellationToken,
}

impl Fetcher {
    /// Fetches a content. While nobody gives it, as when its only source has just gone, it is tried again for as long as
    /// patience says.
    pub(super) async fn fetch(
        &self,
        wanted: &Wanted,
        place: &Place,
        file: &FileProgress,
        mut came: Option<Came>,
    ) -> Result<Arrived, FetchError> {
        // Waiting for another one that fetches the same counts too.
        let until = Deadline::after(self.patience);
        let mut turn = None;
        // Nothing is fetched for an empty file.
        if wanted.content != ContentId::of(b"") {
            turn = match came {
                // What has come waits for nobody.
                Some(_) => self.copies.free_turn(wanted.content),
                None => Some(self.unless_cancelled(self.copies.turn(wanted.content)).await?),
            };
        }
        loop {
            let result = match wanted.is_small() {
                true => self.small(wanted, place, file, until, &mut turn, came.take()).await,
                false => self.pieces(wanted, file, until).await,
            };
            match (result, until.pause()) {
                (Err(error), Some(pause)) if error.is_no_source() => {
                    tracing::debug!(%error, "nobody gives it: it is tried again");
                    self.unless_cancelled(sleep(pause)).await?;
                    // It may be somewhere else when it comes back.
                    self.locator.forget(&wanted.content);
                }
                (Err(FetchError::Download(error @ DownloadError::AllFailed { .. })), _) => {
                    let logged_out = self.locator.logged_out(&wanted.content).await;
                    return Err(logged_out.map_or(error.into(), FetchError::Index));
                }
                (result, _) => return result,
            }
        }
    }

    /// Fetches a content that, as the index was told, has at most one piece: in one call, without a manifest.
    async fn small(
        &self,
        wanted: &Wanted,
        place: &Place,
        file: &FileProgress,
        until: Deadline,
        turn: &mut Option<Turn>,
        came: Option<Came>,
    ) -> Result<Arrived, FetchError> {
        if !place.is_free
            && let There::Content(there) = self.there_at(wanted, place).await?
        {
            return Ok(there);
        }
        let empty = hash_bytes(b"");
        if wanted.content == empty.id() {
            let stamp = self.keep(wanted, empty, vec![Bytes::new()]).await?;
            return Ok(Arrived { how: Fetched::Empty, stamp });
        }
        if let Some(came) = came {
            file.receive(came.manifest.len());
            return self.keep_small(wanted, came, turn).await;
        }
        let fetched = match self.small_from(wanted, place, file, Age::Granted, until, turn).await {
            // What was known of the sources may be old.
            Err(FetchError::Download(
                first @ (DownloadError::NoSources { .. } | DownloadError::AllFailed { .. }),
            )) => {
                let again = self.small_from(wanted, place, file, Age::Fresh, until, turn).await;
                // A source that finds its file changed withdraws it at once: the first answer says more.
                again.map_err(|error| match is_changed(&first) && is_gone(&error) {
                    true => first.into(),
                    false => error,
                })
            }
            other => other,
        };
        match fetched? {
            Some(fetched) => Ok(fetched),
            None => self.pieces(wanted, file, until).await,
        }
    }

    /// Fetches a content in one call from the sources that were known so long ago; `None` if it has several pieces.
    async fn small_from(
        &self,
        wanted: &Wanted,
        place: &Place,
        file: &FileProgress,
        age: Age,
        until: Deadline,
        turn: &mut Option<Turn>,
    ) -> Result<Option<Arrived>, FetchError> {
        let candidates = self.candidates(&wanted.content, age, until).await?;
        if !candidates.is_empty() {
            place.check()?;
        }
        let news = |_, news| {
            if let SmallNews::Received(bytes) = news {
                file.receive(bytes);
            }
        };
        let got = download_small(&wanted.content, &candidates, &self.swarm, news, &self.cancel);
        let got = got.await?;
        match got {
            SmallDownload::Content { manifest, data, from } => {
                let from = candidates.into_iter().find(|candidate| candidate.id == from);
                let came = Came { manifest, data, from };
                Ok(Some(self.keep_small(wanted, came, turn).await?))
            }
            SmallDownload::NeedsManifest => Ok(None),
        }
    }

    /// Writes a content that has come whole.
    async fn keep_small(
        &self,
        wanted: &Wanted,
        Came { manifest, data, from }: Came,
        turn: &mut Option<Turn>,
    ) -> Result<Arrived, FetchError> {
        // Those who wait for it get their files on the disk together with this one. Who comes later waits until it is
        // there.
        *turn = turn.take().and_then(|turn| turn.hand_on(&data));
        let stamp = self.keep(wanted, manifest, data).await?;
        Ok(Arrived { how: from.map_or(Fetched::Empty, Fetched::Small), stamp })
    }

    /// Fetches a content in pieces, and goes on with what an interrupted download left.
    async fn pieces(
        &self,
        wanted: &Wanted,
        file: &FileProgress,
        until: Deadline,
    ) -> Result<Arrived, FetchError> {
        let replaced = match self.there(wanted).await? {
            There::Content(there) => return Ok(there),
            There::Other(file) => Some(file),
            There::Nothing => None,
        };
        let manifest = match FileSink::stored_manifest(&wanted.target, &wanted.content).await {
            Some(manifest) => manifest,
            None => {
                let candidates = self.candidates(&wanted.content, Age::Granted, until).await?;
                // Whether a source is silent is seen at its connection, and others are asked beside one that is slow.
                let options = ManifestOptions { patience: SLOWEST_MANIFEST, ..Default::default() };
                let found =
                    manifest_from(&wanted.content, &candidates, options, &self.cancel).await?;
                if let Some(data) = found.data {
                    file.receive(found.manifest.len());
                    let stamp = self.keep(wanted, found.manifest, data).await?;
                    let from = candidates.into_iter().find(|candidate| candidate.id == found.from);
                    let how = from.map_or(Fetched::Empty, Fetched::Small);
                    return Ok(Arrived { how, stamp });
                }
                found.manifest
            }
        };
        let stamp = replaced.as_ref().map(|file| file.stamp);
        let sink = Arc::new(self.open(wanted, manifest.clone(), stamp).await?);
        file.open(sink.source());
        let _served = self
            .serving
            .as_ref()
            .map(|serving| serving.sources.insert(wanted.content, Arc::new(sink.source())));
        if let Some(replaced) = replaced {
            self.unless_cancelled(keep_common(&replaced, &sink)).await?;
        }
        let copied = match self.copies.candidate(&wanted.content, self.locator.me()).await {
            Some(copy) => {
                let swarm = SwarmOptions { patience: Duration::ZERO, ..self.swarm.clone() };
                self.download(&sink, Arc::new(vec![copy]), swarm, file).await
            }
            None => Err(DownloadError::NoSources { discovery: None }),
        };
        let report = match copied {
            // It is none, or not all of it could be read.
            Err(DownloadError::NoSources { .. } | DownloadError::AllFailed { .. }) => {
                let (locator, own) = (self.locator.clone(), self.own_peer());
                let discovery = Arc::new(IndexDiscovery { locator, own });
                self.download(&sink, discovery, self.swarm.clone(), file).await?
            }
            other => other?,
        };
        let stamp = sink.stamp();
        self.note(wanted, manifest, stamp);
        Ok(Arrived { how: Fetched::Pieces(report), stamp })
    }

    async fn download(
        &self,
        sink: &Arc<FileSink>,
        discovery: Arc<dyn Discovery>,
        options: SwarmOptions,
        file: &FileProgress,
    ) -> Result<Report, DownloadError> {
        let options = SwarmOptions { cursors: file.cursors().clone(), ..options };
        let (sink, events) = (sink.clone(), file.events().clone());
        self.downloader.download(sink, discovery, options, events, &self.cancel).await
    }

    /// Opens the file of a download, in the place of one that was this if there is one. When this returns nothing goes on with it that was not asked for: whoever cancels may
    /// remove it at once.
    async fn open(
        &self,
        wanted: &Wanted,
        manifest: Manifest,
        replaced: Option<FileStamp>,
    ) -> Result<FileSink, FetchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let options = SinkOptions { stop: Some(stop.clone()), replaced, ..self.sink.clone() };
        let mut opening = pin!(FileSink::open(&wanted.target, manifest, options));
        tokio::select! {
            opened = &mut opening => Ok(opened?),
            () = self.cancel.cancelled() => {
                stop.store(true, Ordering::Relaxed);
                // That it was told to stop is all that there is to say of it.
                drop(opening.await);
                Err(DownloadError::Cancelled.into())
            }
        }
    }

    /// Writes a content of one piece, all of which has come.
    async fn keep(
        &self,
        wanted: &Wanted,
        manifest: Manifest,
        data: Vec<Bytes>,
    ) -> Result<Option<FileStamp>, FetchError> {
        let kept = FileSink::keep(&wanted.target, manifest.clone(), data, self.sink.clone());
        let stamp = kept.await?;
        self.note(wanted, manifest, stamp);
        Ok(stamp)
    }

    /// Others that want the same may have it from here.
    fn note(&self, wanted: &Wanted, manifest: Manifest, stamp: Option<FileStamp>) {
        if let Some(stamp) = stamp {
            self.copies.add(&wanted.target, manifest, stamp);
        }
    }

    /// The same as [`there`](Self::there), as far as it is known of the place.
    async fn there_at(&self, wanted: &Wanted, place: &Place) -> Result<There, FetchError> {
        match place.just_seen() {
            Some(file) => self.found(wanted, Some(file.clone())),
            None => self.there(wanted).await,
        }
    }

    /// What is there under the name. Something else than the content is an error, unless it may be replaced.
    async fn there(&self, wanted: &Wanted) -> Result<There, FetchError> {
        let target = wanted.target.clone();
        let stop = CancelOnDrop::default();
        let stopped = stop.0.clone();
        let hashing = tokio::task::spawn_blocking(move || hash_existing(&target, &stopped));
        let hashed = self.unless_cancelled(hashing).await?;
        let existing = || wanted.target.display().to_string();
        let found = match hashed {
            Ok(Ok(found)) => found,
            Ok(Err(_)) if self.sink.overwrite => None,
            Ok(Err(HashError::NotAFile)) => {
                return Err(SinkError::Special(wanted.target.clone()).into());
            }
            Ok(Err(error)) => return Err(FetchError::Existing { path: existing(), error }),
            Err(_) => None,
        };
        self.found(wanted, found)
    }

    /// What a file under the name is to the download.
    fn found(&self, wanted: &Wanted, found: Option<Hashed>) -> Result<There, FetchError> {
        match found {
            Some((manifest, stamp)) if manifest.id() == wanted.content => {
                self.note(wanted, manifest, stamp);
                Ok(There::Content(Arrived { how: Fetched::AlreadyThere, stamp }))
            }
            Some(_) if !self.sink.overwrite => Err(SinkError::Exists(wanted.target.clone()).into()),
            Some((manifest, Some(stamp))) => {
                let path = wanted.target.clone();
                Ok(There::Other(SharedFile { path, manifest, stamp }))
            }
            _ => Ok(There::Nothing),
        }
    }

    /// As which peer the downloads are served.
    fn own_peer(&self) -> Option<PeerId> {
        self.serving.as_ref().map(|serving| serving.peer)
    }

    /// The sources of a content; a copy on this machine is enough, unless it must be `age` fresh. While there are none, the index is asked again for as long as patience says.
    async fn candidates(
        &self,
        content: &ContentId,
        age: Age,
        until: Deadline,
    ) -> Result<Vec<Candidate>, FetchError> {
        if age == Age::Granted
            && let Some(copy) = self.copies.candidate(content, self.locator.me()).await
        {
            return Ok(vec![copy]);
        }
        let mut age = age;
        loop {
            let asking = self.locator.candidates(content, age, self.own_peer());
            let found =
                self.unless_cancelled(asking).await??.ok_or(FetchError::NotFound(*content))?;
            let Some(pause) = until.pause().filter(|_| found.is_empty()) else {
                return Ok(found);
            };
            self.unless_cancelled(sleep(pause)).await?;
            age = Age::Fresh;
        }
    }

    /// The other peers from which a content can be fetched, as far as is known and if it is not on this machine already.
    pub(super) async fn known_sources(&self, content: &ContentId) -> Vec<Candidate> {
        let me = self.locator.me();
        if self.copies.candidate(content, me).await.is_some() {
            return Vec::new();
        }
        let mut sources = self.locator.known_candidates(content, self.own_peer());
        sources.retain(|source| source.id != me);
        sources
    }

    /// What comes of this work, which is dropped when the job is cancelled.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, DownloadError> {
        self.cancel.run_until_cancelled(work).await.ok_or(DownloadError::Cancelled)
    }
}
