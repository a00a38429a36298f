//! Making a manifest from a file, on all cores.

use std::{
    fs::{File, Metadata},
    io,
    num::NonZeroUsize,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::SystemTime,
};

use super::{
    ChainingValue, ContentTooLong, Layout, Manifest, PieceIndex,
    tree::{Merger, chaining_value},
};
use crate::process::cores;

/// More threads than this only wait for each other.
const MAX_THREADS: usize = 256;

/// Why a file could not be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The file could not be read.
    #[error("the file could not be read: {0}; check that it is readable and try again")]
    Io(#[from] io::Error),
    /// It is a folder, a pipe, a socket or a device.
    #[error("this is not a regular file; only files have a content")]
    NotAFile,
    /// The file is longer than a content may be.
    #[error(transparent)]
    TooLong(#[from] ContentTooLong),
    /// The file was written to meanwhile, so the bytes that were read may never have stood in it together.
    #[error("the file changed while it was hashed; hash it again when nothing writes to it")]
    Changed,
    /// The caller cancelled.
    #[error("hashing was cancelled")]
    Cancelled,
}

/// The manifest of a regular file.
///
/// Blocks until it is done: call it on a thread that may. Uses `threads` threads, all cores by default, each with a
/// buffer of one piece; a file of one piece is hashed by the calling thread alone. The file's own position does not
/// matter and, on Unix, does not move.
///
/// `progress` is called after each piece with the number of bytes just hashed, from any of the threads. Once `cancel`
/// is true no further piece is begun.
///
/// # Errors
///
/// [`HashError`]. A change of the file's length or time of modification while it is hashed is
/// [`HashError::Changed`].
pub fn hash_file(
    file: &File,
    threads: Option<NonZeroUsize>,
    progress: &(dyn Fn(u64) + Sync),
    cancel: &AtomicBool,
) -> Result<Manifest, HashError> {
    let before = State::of(&file.metadata()?)?;
    let layout = Layout::new(before.len)?;
    let job = Job::new(file, layout, progress, cancel);
    job.run(wanted_threads(threads, layout.piece_count()))?;
    if State::of(&file.metadata()?)? != before {
        return Err(HashError::Changed);
    }
    job.finish()
}

/// What tells whether a file was changed.
#[derive(PartialEq)]
struct State {
    len: u64,
    /// `None` where the file system does not know it.
    modified: Option<SystemTime>,
}

impl State {
    fn of(metadata: &Metadata) -> Result<Self, HashError> {
        if !metadata.is_file() {
            return Err(HashError::NotAFile);
        }
        Ok(Self { len: metadata.len(), modified: metadata.modified().ok() })
    }
}

fn wanted_threads(threads: Option<NonZeroUsize>, piece_count: u32) -> usize {
    let pieces = usize::try_from(piece_count).unwrap_or(usize::MAX);
    threads.unwrap_or_else(cores).get().min(pieces).min(MAX_THREADS)
}

/// The work on one file, shared by its threads.
struct Job<'a> {
    file: &'a File,
    layout: Layout,
    progress: &'a (dyn Fn(u64) + Sync),
    cancel: &'a AtomicBool,
    /// The next piece that nobody works on.
    next: AtomicU32,
    /// Set when a thread has failed, so that the others stop.
    failed: AtomicBool,
    /// One for each piece, also for a single one, which then has none.
    values: Mutex<Vec<ChainingValue>>,
    last_piece: OnceLock<Vec<u8>>,
}

impl<'a> Job<'a> {
    fn new(
        file: &'a File,
        layout: Layout,
        progress: &'a (dyn Fn(u64) + Sync),
        cancel: &'a AtomicBool,
    ) -> Self {
        let values = match layout.piece_count() {
            1 => Vec::new(),
            _ => vec![ChainingValue::default(); layout.last_piece().as_usize() + 1],
        };
        Self {
            file,
            layout,
            progress,
            cancel,
            next: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            values: Mutex::new(values),
            last_piece: OnceLock::new(),
        }
    }

    /// Hashes all pieces on this thread and `threads - 1` others.
    fn run(&self, threads: usize) -> Result<(), HashError> {
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map_while(|_| {
                    // Without another thread it only takes longer.
                    let builder = thread::Builder::new().name("hash".to_owned());
                    builder.spawn_scoped(scope, || self.work()).ok()
                })
                .collect();
            let mut result = self.work();
            for other in others {
                let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(theirs);
            }
            result
        })
    }

    /// Hashes piece after piece until none is left or somebody has failed.
    fn work(&self) -> Result<(), HashError> {
        let result = self.hash_pieces();
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn hash_pieces(&self) -> Result<(), HashError> {
        let mut buffer = vec![0; self.layout.piece_len(PieceIndex(0))];
        while !self.failed.load(Ordering::Relaxed) {
            let piece = PieceIndex(self.next.fetch_add(1, Ordering::Relaxed));
            if !self.layout.contains(piece) {
                break;
            }
            if self.cancel.load(Ordering::Relaxed) {
                return Err(HashError::Cancelled);
            }
            buffer.truncate(self.layout.piece_len(piece));
            if read_full_at(self.file, &mut buffer, self.layout.piece_offset(piece))? < buffer.len()
            {
                return Err(HashError::Changed);
            }
            let len = buffer.len() as u64;
            self.hash_piece(piece, &mut buffer);
            (self.progress)(len);
        }
        Ok(())
    }

    /// Notes the chaining value of a piece, and takes the last piece away.
    fn hash_piece(&self, piece: PieceIndex, bytes: &mut Vec<u8>) {
        if self.layout.piece_count() > 1 {
            let value = chaining_value(self.layout.piece_offset(piece), bytes);
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = values.get_mut(piece.as_usize()) {
                *place = value;
            }
        }
        if piece == self.layout.last_piece() {
            // Each piece is given out once, so this is the first time.
            self.last_piece.get_or_init(|| std::mem::take(bytes));
        }
    }

    /// The manifest, once all pieces are hashed.
    fn finish(self) -> Result<Manifest, HashError> {
        let values = self.values.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A thread that leaves the last piece undone has failed, and then this is not called.
        let last_piece = self.last_piece.into_inner().ok_or(HashError::Cancelled)?;
        let mut merger = Merger::default();
        values.iter().for_each(|value| merger.push(*value));
        Ok(Manifest::from_hashed(self.layout, &last_piece, values, merger))
    }
}

/// Fills the buffer from `offset` on and says how many bytes there were: fewer only at the end of the file.
fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_at(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
