//! Beginning a download, or going on with one.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::{self, BufReader, BufWriter, ErrorKind, Write},
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, SystemTime},
};

use super::{
    Committer, EarlierParts, FileStamp, KnownParts,
    name::Names,
    part::{Part, folder_of},
    resume::held_pieces,
    space, sys,
};
use crate::{
    content::{ContentId, HashError, Manifest, PieceIndex, PieceSet, hash_file, verify_piece},
    transfer::SinkError,
};

/// How often a file that was moved while it was opened is looked for again.
const ATTEMPTS: usize = 8;
/// A write that nobody waits for any more holds its lock a little longer than its sink lives.
pub(super) const LOCK_ATTEMPTS: usize = 50;
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How a download is written.
#[derive(Clone, Default)]
pub struct SinkOptions {
    /// Replace a file of the final name. Off by default.
    pub overwrite: bool,
    /// Makes finished files permanent. Downloads of one job share one, so that many small files do not cost a sync
    /// each.
    pub committer: Committer,
    /// Told how far the check of what is there has come, from any thread.
    pub progress: Option<Arc<dyn Fn(ResumeProgress) + Send + Sync>>,
    /// What part files hold that were checked: what has not changed since is not checked again. Downloads that are tried
    /// again share one.
    pub known: KnownParts,
    /// Where to look for what unfinished downloads of other contents to the same file have left, to go on with; `None`:
    /// nowhere.
    pub earlier: Option<EarlierParts>,
    /// What the file at the target was when something else than the content was found in it: it is not read again as long
    /// as it is that.
    pub replaced: Option<FileStamp>,
    /// How many threads check what is there; all cores by default.
    pub threads: Option<NonZeroUsize>,
    /// Once it is set, the check of what is there ends soon, and opening fails: for those who want to wait for the end.
    pub stop: Option<Arc<AtomicBool>>,
}

impl fmt::Debug for SinkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkOptions")
            .field("overwrite", &self.overwrite)
            .field("committer", &self.committer)
            .finish_non_exhaustive()
    }
}

/// How far the check of what is there already has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeProgress {
    /// Bytes checked.
    pub checked: u64,
    /// Bytes to check in all.
    pub total: u64,
}

/// A download that is open, and the pieces that it holds.
pub(super) struct Opened {
    pub(super) part: Part,
    pub(super) held: PieceSet,
    /// The target had the content already.
    pub(super) complete: bool,
}

/// Opens the download of a content to a file. Blocks.
pub(super) fn open(
    target: &Path,
    manifest: &Manifest,
    options: &SinkOptions,
    cancel: &AtomicBool,
) -> Result<Opened, SinkError> {
    let opening =
        Opening { target, names: names(target, &manifest.id())?, manifest, options, cancel };
    opening.make_folders()?;
    for _ in 0..ATTEMPTS {
        let before = opening.look_at_target()?;
        if let Target::Complete(file, stamp) = before {
            return Ok(opening.complete(file, stamp));
        }
        // Of one piece there is nothing that could be the same.
        if let Some(earlier) = options.earlier.as_ref().filter(|_| opening.has_manifest()) {
            earlier.adopt(target, &opening.names);
        }
        let Some(file) = opening.lock_part()? else {
            continue;
        };
        // Whoever had the lock before may have finished since we looked.
        if matches!(before, Target::Free) && fs::symlink_metadata(target).is_ok() {
            opening.remove_if_empty(&file);
            continue;
        }
        return opening.resume(file);
    }
    let error = io::Error::other("other programs keep moving it");
    Err(opening.error("opening", &opening.names.part, error))
}

/// The manifest that an unfinished download left beside the target. Blocks.
pub(super) fn stored_manifest(target: &Path, content: &ContentId) -> Option<Manifest> {
    read_manifest(&Names::of(target, content)?.manifest, content)
}

/// What is at the target.
enum Target {
    Free,
    /// Something else than the content, which may be overwritten.
    Replaceable,
    Complete(File, FileStamp),
}

struct Opening<'a> {
    target: &'a Path,
    names: Names,
    manifest: &'a Manifest,
    options: &'a SinkOptions,
    cancel: &'a AtomicBool,
}

impl Opening<'_> {
    /// Makes the folders that are missing, and has their names made permanent with the first file that is.
    fn make_folders(&self) -> Result<(), SinkError> {
        let mut missing = Vec::new();
        let mut folder = folder_of(self.target);
        while !folder.is_dir() {
            let above = folder_of(&folder);
            missing.push(folder);
            if missing.last() == Some(&above) {
                break;
            }
            folder = above;
        }
        for folder in missing.into_iter().rev() {
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => {
                    return Err(self.error("making the folder", &folder, error));
                }
                _ => {}
            }
            // Not before: a group that is synced meanwhile would take it along without the new name. Whoever finds the
            // folder there may finish before whoever made it has come to this, so each of them says it.
            self.options.committer.sync_later(folder_of(&folder));
        }
        Ok(())
    }

    fn look_at_target(&self) -> Result<Target, SinkError> {
        let exists = || SinkError::Exists(self.target.to_owned());
        match fs::symlink_metadata(self.target) {
            // A link is replaced itself, whatever it leads to.
            Ok(metadata) if metadata.is_file() || metadata.is_symlink() => {}
            Ok(_) => return Err(SinkError::Special(self.target.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Target::Free),
            Err(error) => return Err(self.error("looking at", self.target, error)),
        }
        match self.hash_target()? {
            Some((file, stamp)) => Ok(Target::Complete(file, stamp)),
            None if self.options.overwrite => Ok(Target::Replaceable),
            None => Err(exists()),
        }
    }

    /// The file at the target if it has the content.
    fn hash_target(&self) -> Result<Option<(File, FileStamp)>, SinkError> {
        // A link may lead to a device, and opening one may do something.
        if !fs::metadata(self.target).is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let Ok(file) = sys::open_shared(self.target) else {
            return Ok(None);
        };
        let Ok(metadata) = file.metadata() else {
            return Ok(None);
        };
        if !metadata.is_file() || metadata.len() != self.manifest.len() {
            return Ok(None);
        }
        if self.options.replaced == Some(FileStamp::of(&metadata)) {
            return Ok(None);
        }
        let checked = Mutex::new(0);
        let progress = |bytes| {
            let mut checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
            *checked += bytes;
            let total = metadata.len();
            self.report(ResumeProgress { checked: *checked, total });
        };
        match hash_file(&file, self.options.threads, &progress, self.cancel) {
            Ok(found) if found == *self.manifest => Ok(Some((file, FileStamp::of(&metadata)))),
            Err(HashError::Cancelled) => Err(self.cancelled()),
            _ => Ok(None),
        }
    }

    /// Takes away what an end in the middle of finishing has left, unless somebody uses it.
    fn clear_leftovers(&self) {
        if let Ok(part) = sys::open_part(&self.names.part, false) {
            if part.try_lock().is_err() {
                return;
            }
            let _ = fs::remove_file(&self.names.part);
        }
        let _ = fs::remove_file(&self.names.manifest);
    }

    fn complete(&self, file: File, stamp: FileStamp) -> Opened {
        self.clear_leftovers();
        Opened {
            part: self.part(file, Some(stamp)),
            held: PieceSet::full(self.manifest.layout().piece_count()),
            complete: true,
        }
    }

    /// Takes away a part file that was made for nothing.
    fn remove_if_empty(&self, file: &File) {
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = fs::remove_file(&self.names.part);
        }
    }

    /// The part file, ours alone; `None` when it was moved or removed meanwhile, so that all is to be looked at anew.
    fn lock_part(&self) -> Result<Option<File>, SinkError> {
        let path = &self.names.part;
        let fail = |error| self.error("opening", path, error);
        let file = sys::open_part(path, true).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            let error = io::Error::other("it is not a file; move it away");
            return Err(fail(error));
        }
        self.lock(&file)?;
        // Whoever had the lock before may have finished: then this file is the target by now.
        if !sys::is_at(&metadata, path).map_err(fail)? {
            return Ok(None);
        }
        // The same if he was stopped between giving it its final name and taking the old one away.
        let metadata = file.metadata().map_err(fail)?;
        if sys::has_other_names(&metadata) {
            fs::remove_file(path).map_err(fail)?;
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn lock(&self, file: &File) -> Result<(), SinkError> {
        for _ in 0..LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                // Some network file systems have no locks. Two processes would still only write right bytes.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(());
                }
                Err(TryLockError::Error(error)) => {
                    return Err(self.error("locking", &self.names.part, error));
                }
            }
        }
        Err(SinkError::Locked(self.target.to_owned()))
    }

    fn resume(&self, file: File) -> Result<Opened, SinkError> {
        // Unlocks the file if anything fails.
        let part = self.part(file, None);
        let fail = |error| self.error("preparing", &self.names.part, error);
        let stamp = FileStamp::of_file(&part.file).map_err(fail)?;
        let (len, at) = (stamp.len, SystemTime::now());
        if self.has_manifest() {
            self.store_manifest()?;
        }
        // One piece makes the file as long as it is.
        if len != self.manifest.len() && (len > 0 || self.has_manifest()) {
            part.file.set_len(self.manifest.len()).map_err(fail)?;
        }
        let mut held = PieceSet::empty(self.manifest.layout().piece_count());
        if let Some(known) = self.options.known.find(&part.path, self.manifest.id(), stamp) {
            held = known;
        } else if len > 0 {
            let report = |progress| self.report(progress);
            let threads = self.options.threads;
            held = held_pieces(&part.file, self.manifest, threads, &report, self.cancel)
                .ok_or_else(|| self.cancelled())?;
            self.options.known.note(&part.path, self.manifest.id(), (stamp, at), &held);
        }
        if verify_piece(self.manifest, PieceIndex(0), []).is_ok() {
            // Of an empty content nothing is missing.
            held.insert(PieceIndex(0));
        }
        self.check_room(&held, space::allocated(&part.file.metadata().map_err(fail)?))?;
        Ok(Opened { part, held, complete: false })
    }

    /// Refuses what does not fit on the disk, rather than fill it in vain. So many bytes of the part file are there
    /// already: where there are no sparse files, all.
    fn check_room(&self, held: &PieceSet, allocated: u64) -> Result<(), SinkError> {
        let layout = self.manifest.layout();
        // Of many small files each would cost a look.
        if layout.piece_count() == 1 {
            return Ok(());
        }
        let missing: u64 = held.missing_runs().map(|run| layout.run_len(run)).sum();
        let spare = allocated.saturating_sub(self.manifest.len() - missing);
        let missing = missing.saturating_sub(spare);
        match space::free_space(&folder_of(self.target)) {
            Some(free) if free < missing => {
                if held.is_empty() {
                    let _ = fs::remove_file(&self.names.part);
                    let _ = fs::remove_file(&self.names.manifest);
                }
                Err(SinkError::NoRoom { path: self.target.to_owned(), missing, free })
            }
            _ => Ok(()),
        }
    }

    /// Keeps the manifest beside the part, so that a resumed download need not ask for it again.
    fn store_manifest(&self) -> Result<(), SinkError> {
        let Names { manifest, manifest_tmp, .. } = &self.names;
        if read_manifest(manifest, &self.manifest.id()).as_ref() == Some(self.manifest) {
            return Ok(());
        }
        let write = || {
            // Under the lock of the part: nobody else writes it.
            match fs::remove_file(manifest_tmp) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut writer = BufWriter::new(File::create_new(manifest_tmp)?);
            self.manifest.write_to(&mut writer)?;
            writer.flush()?;
            fs::rename(manifest_tmp, manifest)
        };
        write().map_err(|error| self.error("writing", manifest, error))
    }

    /// Whether it is kept beside the part: that of one piece says nothing that the id does not.
    fn has_manifest(&self) -> bool {
        self.manifest.layout().piece_count() > 1
    }

    /// `complete`: it is the target already, and was this.
    fn part(&self, file: File, complete: Option<FileStamp>) -> Part {
        Part {
            file: Arc::new(file),
            path: self.names.part.clone(),
            target: self.target.to_owned(),
            manifest_path: self.has_manifest().then(|| self.names.manifest.clone()),
            overwrite: self.options.overwrite,
            renamed: Arc::new(complete.map_or_else(OnceLock::new, OnceLock::from)),
            finished: AtomicBool::new(complete.is_some()),
            failed: AtomicBool::new(false),
        }
    }

    fn report(&self, progress: ResumeProgress) {
        if let Some(report) = &self.options.progress {
            report(progress);
        }
    }

    fn error(&self, what: &'static str, path: &Path, error: io::Error) -> SinkError {
        SinkError::from_io(what, path, self.target, error)
    }

    fn cancelled(&self) -> SinkError {
        let error = io::Error::new(ErrorKind::Interrupted, "it was cancelled");
        self.error("checking", self.target, error)
    }
}

fn names(target: &Path, content: &ContentId) -> Result<Names, SinkError> {
    Names::of(target, content).ok_or_else(|| {
        let error = io::Error::new(ErrorKind::InvalidInput, "this is not the name of a file");
        SinkError::from_io("opening", target, target, error)
    })
}

/// The stored manifest of a content, if there is one and it is right.
fn read_manifest(path: &Path, content: &ContentId) -> Option<Manifest> {
    manifest_at(path).filter(|manifest| manifest.id() == *content)
}

/// A stored manifest, of whatever content, if there is one and it is right.
pub(super) fn manifest_at(path: &Path) -> Option<Manifest> {
    let file = sys::open_shared(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    Manifest::read_from(BufReader::new(file)).ok()
}
