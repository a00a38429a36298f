//! Finding out which pieces a file holds.

use std::{
    fs::File,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{open::ResumeProgress, sys};
use crate::{
    content::{Manifest, PieceSet, verify_piece},
    process::cores,
};

/// More threads than this only wait for each other.
const MAX_THREADS: usize = 64;

/// The pieces of the content that the file holds, of those outside of its holes. `None` when it was cancelled.
///
/// Nothing but the bytes themselves counts. What cannot be read is not held. Uses `threads` threads, all cores by
/// default, each with a buffer of one piece.
pub(super) fn held_pieces(
    file: &File,
    manifest: &Manifest,
    threads: Option<NonZeroUsize>,
    progress: &(dyn Fn(ResumeProgress) + Sync),
    cancel: &AtomicBool,
) -> Option<PieceSet> {
    let layout = manifest.layout();
    let candidates = sys::pieces_with_data(file, &layout);
    let total = candidates.runs().map(|run| layout.run_len(run)).fold(0, u64::saturating_add);
    let queue = Mutex::new(candidates.iter());
    let found = Mutex::new((PieceSet::empty(layout.piece_count()), 0));
    let work = || {
        let mut buffer = Vec::new();
        while !cancel.load(Ordering::Relaxed) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(piece) = next else {
                return;
            };
            let len = layout.piece_len(piece);
            let read = sys::read_at(file, &mut buffer, len, layout.piece_offset(piece));
            let right = read.is_ok() && verify_piece(manifest, piece, [&buffer[..]]).is_ok();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if right {
                found.0.insert(piece);
            }
            found.1 += len as u64;
            // Under the lock, so that it never goes back.
            progress(ResumeProgress { checked: found.1, total });
        }
    };
    thread::scope(|scope| {
        for _ in 1..wanted_threads(threads, candidates.len()) {
            // Without another thread it only takes longer.
            let builder = thread::Builder::new().name("resume".to_owned());
            let _ = builder.spawn_scoped(scope, work);
        }
        work();
    });
    if cancel.load(Ordering::Relaxed) {
        return None;
    }
    let (held, _) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(held)
}

fn wanted_threads(threads: Option<NonZeroUsize>, pieces: u32) -> usize {
    let pieces = usize::try_from(pieces).unwrap_or(usize::MAX);
    threads.unwrap_or_else(cores).get().min(pieces).min(MAX_THREADS)
}
