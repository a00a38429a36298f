//! Where a content is read from.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use p2pshare_core::{
    content::{ContentId, Layout, PieceIndex, PieceRun},
    swarm::ReadCursor,
    transfer::{
        FileStamp, PartialSource, PieceSource, ReadOptions, SegmentStream, TransferError, read_runs,
    },
};
use tokio::time::timeout;

use super::{
    cache::Hold,
    temporary::{Lease, Outcome},
};
use crate::{
    download::FileProgress,
    downloads::{ReadError, engine::Engine},
    share::open_file,
};

/// So often something else is looked for when what was found is gone in the same moment.
const ATTEMPTS: usize = 4;

/// Where a content is read from.
#[derive(Clone)]
pub(in crate::downloads) enum Origin {
    /// A whole file, which is kept for as long as it is held.
    File { file: Arc<File>, stamp: FileStamp, layout: Layout, _hold: Option<Arc<Hold>> },
    /// A file that is shared.
    Shared { source: Arc<dyn PieceSource>, layout: Layout },
    /// A download that runs.
    Coming { file: FileProgress, pieces: PartialSource, lease: Option<Arc<Lease>> },
}

impl Origin {
    pub(in crate::downloads) fn layout(&self) -> Layout {
        match self {
            Self::File { layout, .. } | Self::Shared { layout, .. } => *layout,
            Self::Coming { pieces, .. } => pieces.manifest().layout(),
        }
    }

    /// What tells a download what is wanted first; `None` where everything is there.
    pub(in crate::downloads) fn cursor(&self) -> Option<ReadCursor> {
        match self {
            Self::Coming { file, .. } => Some(file.cursors().open()),
            Self::File { .. } | Self::Shared { .. } => None,
        }
    }

    /// Waits until a piece is there, for as long as something comes at least so often.
    pub(in crate::downloads) async fn wait_for(
        &self,
        piece: PieceIndex,
        patience: Duration,
    ) -> Result<(), Gone> {
        let Self::Coming { file, pieces, lease } = self else { return Ok(()) };
        let mut came = file.events().progress().received;
        loop {
            match timeout(patience, pieces.wait_for(piece)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => {
                    let full = match lease {
                        Some(lease) => lease.was_full().await,
                        None => None,
                    };
                    return Err(full.map_or(Gone::Ended, Gone::Full));
                }
                Err(_) => {}
            }
            let now = file.events().progress().received;
            if now == came {
                return Err(Gone::Silent(silence(file)));
            }
            came = now;
        }
    }

    /// How many pieces from this one on, up to `most`, can be read now.
    pub(in crate::downloads) fn ready(&self, from: PieceIndex, most: u32) -> u32 {
        let Self::Coming { pieces, .. } = self else { return most };
        let run = PieceRun::new(from, most).iter();
        u32::try_from(run.take_while(|piece| pieces.holds(*piece)).count()).unwrap_or(most)
    }

    pub(in crate::downloads) async fn fetch(
        &self,
        content: &ContentId,
        run: PieceRun,
    ) -> Result<SegmentStream, TransferError> {
        match self {
            Self::File { file, stamp, layout, .. } => {
                let (stamp, checked) = (*stamp, file.clone());
                let check = Arc::new(move || stamp.check(&checked));
                let options = ReadOptions { check: Some(check), ..ReadOptions::default() };
                read_runs(file.clone(), *layout, &[run], options)
            }
            Self::Shared { source, .. } => source.fetch(content, &[run]).await,
            Self::Coming { pieces, .. } => pieces.fetch(content, &[run]).await,
        }
    }
}

/// Why a piece does not come from a download.
pub(in crate::downloads) enum Gone {
    /// It has ended: the content may be elsewhere by now.
    Ended,
    /// Nothing comes.
    Silent(String),
    /// It has ended since there is no room for it, and none could be made.
    Full(ReadError),
}

impl Engine {
    /// Where a content can be read from: a whole file, a download of it that runs, or one that is begun for it.
    pub(in crate::downloads) async fn origin(
        self: &Arc<Self>,
        content: ContentId,
        size: Option<u64>,
    ) -> Result<Origin, ReadError> {
        for _ in 0..ATTEMPTS {
            if let Some(origin) = self.whole(content).await {
                return Ok(origin);
            }
            if let Some(origin) = self.running(&content).await {
                return Ok(origin);
            }
            let session = self.session().map_err(|_| ReadError::LoggedOut(content))?;
            let (temporary, lease) = self.temporary(&session, content, size)?;
            match temporary.ready().await {
                Ok(file) => {
                    if let Some(pieces) = file.pieces() {
                        return Ok(Origin::Coming { file, pieces, lease: Some(Arc::new(lease)) });
                    }
                }
                Err(Outcome::Complete(path, stamp)) => {
                    if let Some(origin) = open(path, stamp, Some(lease.hold())).await {
                        return Ok(origin);
                    }
                }
                Err(Outcome::Failed(error)) => return Err(error),
                Err(Outcome::Stopped) => {}
            }
        }
        Err(ReadError::Changed)
    }

    /// A file on this machine that has the content.
    async fn whole(&self, content: ContentId) -> Option<Origin> {
        if let Some(source) = &self.options.shared
            && let Ok(manifest) = source.manifest(&content).await
            && source.have(&content).await.is_ok()
        {
            return Some(Origin::Shared { source: source.clone(), layout: manifest.layout() });
        }
        let complete = self.store.complete_files(content).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the list of downloads failed");
            Vec::new()
        });
        for (path, stamp) in complete {
            if let Some(origin) = open(path, stamp, None).await {
                return Some(origin);
            }
        }
        let kept = self.readings.state().cache.whole(&content);
        if let Some((path, stamp, hold)) = kept {
            if let Some(origin) = open(path, stamp, Some(hold)).await {
                return Some(origin);
            }
            self.readings.state().cache.take(&content);
        }
        None
    }

    /// A download of the content that runs.
    async fn running(&self, content: &ContentId) -> Option<Origin> {
        let attempts = self.attempts();
        let file = attempts.iter().find_map(|attempt| attempt.progress.find(content))?;
        // One that takes long to begin is not waited for.
        let opened = timeout(self.options.read_patience, file.opened()).await;
        let pieces = opened.ok().flatten()?;
        Some(Origin::Coming { file, pieces, lease: None })
    }
}

async fn open(path: PathBuf, stamp: FileStamp, hold: Option<Arc<Hold>>) -> Option<Origin> {
    let opened = tokio::task::spawn_blocking(move || {
        let file = open_file(&path).ok()?;
        stamp.check(&file).ok()?;
        Some(Arc::new(file))
    });
    let file = opened.await.ok().flatten()?;
    Some(Origin::File { file, stamp, layout: Layout::new(stamp.len).ok()?, _hold: hold })
}

/// What sources say while nothing comes.
fn silence(file: &FileProgress) -> String {
    let told = file.events().by_source().into_iter().filter_map(|source| {
        let failure = source.failure?;
        Some(format!("{}: {failure}", source.label))
    });
    let told: Vec<_> = told.collect();
    match told.is_empty() {
        true => "none is online".to_owned(),
        false => told.join("; "),
    }
}
