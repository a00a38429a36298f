//! Downloads as others see them: what the queue says, and what runs.

use std::path::Path;

use p2pshare_core::content::{ContentId, Layout};

use super::{
    DownloadFile, DownloadState, DownloadView, FileState, PieceMap, SourceView,
    cells::{cells_of, resample},
    live::Look,
    store::{DownloadRow, FileRow, SavedFile},
    work::Attempt,
};
use crate::download::{FileProgress, Target};

/// Most parts of a piece map.
const MAX_CELLS: usize = 4096;

pub(super) fn download(row: DownloadRow, look: Option<Look>) -> DownloadView {
    let look = look.unwrap_or_default();
    let attempt = look.attempt.as_deref();
    let mut state = row.state.shown();
    if state == DownloadState::Running && attempt.is_some_and(Attempt::is_resolving) {
        state = DownloadState::Resolving;
    }
    let gained = attempt.map_or(0, Attempt::gained);
    let done = row.bytes_done.saturating_add(row.bytes_held).saturating_add(gained).min(row.bytes);
    let left = row.bytes.saturating_sub(done);
    let sources = attempt.map_or(0, |attempt| attempt.progress.sources());
    let files = attempt.map(|attempt| attempt.progress.files()).unwrap_or_default();
    let reason = look.reason.as_ref().filter(|_| sources == 0);
    DownloadView {
        id: row.id,
        state,
        title: row.title,
        folder: row.folder.display().to_string(),
        files: row.files,
        files_done: row.files_done,
        files_failed: row.files_failed,
        bytes: row.bytes,
        bytes_done: done,
        rate: look.rate,
        eta_seconds: (look.rate > 0 && row.resolved).then(|| left.div_ceil(look.rate)),
        stalled_seconds: look.stalled.filter(|_| left > 0).map(|stalled| stalled.as_secs()),
        sources,
        queued_at: queued_at(files.iter().map(|(_, file)| file)),
        error: row.error.or(reason.map(|reason| reason.text.clone())),
        cause: row.cause.or(reason.map(|reason| reason.cause)),
        created_at: row.created_at,
        finished_at: row.finished_at,
    }
}

pub(super) fn file(row: FileRow, folder: &Path, look: Option<&Look>) -> DownloadFile {
    let running = running(look, row.number);
    let (state, done) = match (row.state, &running) {
        (SavedFile::Done, _) => (FileState::Done, row.size),
        (_, Some(file)) => (FileState::Running, file.verified().max(row.held).min(row.size)),
        (SavedFile::Waiting, None) => (FileState::Waiting, row.held),
        (SavedFile::Failed, None) => (FileState::Failed, row.held),
    };
    DownloadFile {
        number: row.number,
        name: row.name.to_string(),
        path: row.name.under(folder).display().to_string(),
        content: row.content,
        size: row.size,
        done,
        state,
        error: row.error,
        cause: row.cause,
        there: row.there,
    }
}

pub(super) fn piece_map(row: &FileRow, look: Option<&Look>, cells: usize) -> PieceMap {
    let most = cells.clamp(1, MAX_CELLS);
    let told = Layout::new(row.size).map_or(1, |layout| u64::from(layout.piece_count()));
    let parts = usize::try_from(told).map_or(most, |told| told.min(most));
    let running = running(look, row.number);
    let pieces = running.as_ref().and_then(FileProgress::pieces);
    let (count, cells) = match (row.state, pieces) {
        (SavedFile::Done, _) => (told, vec![100; parts]),
        (_, Some(pieces)) => {
            let held = pieces.held();
            (u64::from(held.piece_count()), cells_of(&held, most))
        }
        (_, None) => (told, resample(row.cells.as_deref().unwrap_or_default(), parts)),
    };
    let by_source = running.map(|file| file.events().by_source()).unwrap_or_default();
    let sources = by_source.into_iter().map(|source| SourceView {
        source: source.label,
        bytes: source.bytes,
        rate: source.rate,
        queued_at: source.queued,
        failure: source.failure.map(|failure| failure.to_string()),
    });
    PieceMap { pieces: count, cells, sources: sources.collect() }
}

/// What a download of these targets is called until more is known.
pub(super) fn title(targets: &[Target]) -> String {
    let Some(first) = targets.first() else { return String::new() };
    let first = match first {
        Target::Content(content) => short(content),
        Target::Link(link) => link.name().last().to_string(),
        Target::Path { path: Some(path), .. } => path.last().to_string(),
        Target::Path { owner, path: None } => format!("{owner}:/"),
    };
    match targets.len() {
        1 => first,
        many => format!("{first} and {} more", many - 1),
    }
}

fn short(content: &ContentId) -> String {
    format!("{content:.16}")
}

fn running(look: Option<&Look>, number: u64) -> Option<FileProgress> {
    look?.attempt.as_ref()?.progress.file(number)
}

/// The best place in a queue, if nothing but queues is what sources offer.
fn queued_at<'a>(files: impl Iterator<Item = &'a FileProgress>) -> Option<u32> {
    let mut best: Option<u32> = None;
    for source in files.flat_map(|file| file.events().by_source()).filter(|source| source.active) {
        let place = source.queued?;
        best = Some(best.map_or(place, |best| best.min(place)));
    }
    best
}
