//! The places where files are to go, as they are before anything is fetched.

use std::{
    collections::HashMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use futures::future::join_all;
use p2pshare_core::{
    content::{ContentId, PIECE_LEN},
    process::cores,
    transfer::SinkError,
};

use super::{
    Wanted,
    existing::{CancelOnDrop, Hashed, hash_existing},
};

/// What was seen is relied on for so long.
const A_MOMENT: Duration = Duration::from_secs(2);

/// What is known of a place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Nothing was there a moment ago.
    pub(super) is_free: bool,
    /// The small file that was there, and when.
    pub(super) file: Option<(Hashed, Instant)>,
    closed: Option<Closed>,
}

/// Why nothing can be written into a folder.
#[derive(Clone, Debug)]
struct Closed {
    what: &'static str,
    path: PathBuf,
    kind: ErrorKind,
    why: String,
}

impl Place {
    /// Whether a small file with this content was there.
    pub(super) fn has(&self, content: &ContentId) -> bool {
        self.file.as_ref().is_some_and(|((manifest, _), _)| manifest.id() == *content)
    }

    /// The small file that was there a moment ago. Later it may be gone, or another one.
    pub(super) fn just_seen(&self) -> Option<&Hashed> {
        self.file.as_ref().filter(|(_, at)| at.elapsed() < A_MOMENT).map(|(file, _)| file)
    }

    /// Whether something could be written there a moment ago, so that nothing is fetched in vain.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`] if not.
    pub(super) fn check(&self) -> Result<(), SinkError> {
        let Some(closed) = &self.closed else { return Ok(()) };
        let error = io::Error::new(closed.kind, closed.why.clone());
        Err(SinkError::Io { what: closed.what, path: closed.path.clone(), error })
    }
}

/// Looks at the places of several files at once, and hashes small files that are there: to ask for each by itself takes much
/// longer than that.
pub(super) async fn look_at(wanted: impl Iterator<Item = &Wanted>) -> Vec<Place> {
    let targets: Vec<_> = wanted.map(|one| one.target.clone()).collect();
    let stop = CancelOnDrop::default();
    let cores = cores().get();
    let parts = targets.chunks(targets.len().div_ceil(cores).max(1)).map(|part| {
        let (part, stop) = (part.to_vec(), stop.0.clone());
        async move {
            let count = part.len();
            let look = move || {
                let mut folders = Folders::default();
                part.iter().map(|target| folders.look_at(target, &stop)).collect::<Vec<_>>()
            };
            let looked = tokio::task::spawn_blocking(look).await;
            looked.unwrap_or_else(|_| (0..count).map(|_| Place::default()).collect())
        }
    });
    join_all(parts).await.into_iter().flatten().collect()
}

/// The folders that were looked at.
#[derive(Default)]
struct Folders(HashMap<PathBuf, Option<Closed>>);

impl Folders {
    fn look_at(&mut self, target: &Path, stop: &AtomicBool) -> Place {
        let found = target.symlink_metadata();
        let is_small = |found: &fs::Metadata| found.is_file() && found.len() <= PIECE_LEN;
        let is_small = found.as_ref().is_ok_and(is_small);
        Place {
            is_free: found.is_err_and(|error| error.kind() == ErrorKind::NotFound),
            // Whatever else is there is looked at when it comes to it.
            file: is_small
                .then(|| hash_existing(target, stop).ok().flatten())
                .flatten()
                .map(|file| (file, Instant::now())),
            closed: above(target).and_then(|folder| self.closed(folder)),
        }
    }

    /// Why nothing can be written into a folder, or it cannot be made; `None` unless that is certain. Makes no folder, and
    /// leaves no file.
    fn closed(&mut self, folder: &Path) -> Option<Closed> {
        if let Some(known) = self.0.get(folder) {
            return known.clone();
        }
        let making = "making the folder";
        let closed = match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {
                let made = tempfile::tempfile_in(folder);
                made.err().and_then(|error| Closed::of("making a file in", folder, &error))
            }
            Ok(_) => Closed::of(making, folder, &ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                above(folder).and_then(|above| self.closed(above))
            }
            Err(error) => Closed::of(making, folder, &error),
        };
        self.0.insert(folder.to_owned(), closed.clone());
        closed
    }
}

impl Closed {
    /// `None` for what may be otherwise when the file is written, or for other files: whether there is room, for one.
    fn of(what: &'static str, path: &Path, error: &io::Error) -> Option<Self> {
        let kind = error.kind();
        let is_certain = matches!(
            kind,
            ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::StaleNetworkFileHandle
                | ErrorKind::NotADirectory
        );
        is_certain.then(|| Self { what, path: path.to_owned(), kind, why: error.to_string() })
    }
}

/// The folder that has a file or folder; that of a bare name is `.`.
fn above(path: &Path) -> Option<&Path> {
    let here = Path::new(".");
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => (path != here).then_some(here),
        above => above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether nothing is there, and why nothing can be written there.
    async fn seen(targets: &[PathBuf]) -> Vec<(bool, Option<String>)> {
        let wanted: Vec<_> = targets
            .iter()
            .map(|target| Wanted { content: ContentId::of(b"x"), size: 1, target: target.clone() })
            .collect();
        let places = look_at(wanted.iter()).await;
        let seen = places
            .iter()
            .map(|place| (place.is_free, place.check().err().map(|error| error.to_string())));
        seen.collect()
    }

    #[tokio::test]
    async fn a_folder_that_takes_nothing_is_found_before_it_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), b"x").unwrap();
        let targets = ["file", "free", "new/folder/free", "file/x", "file/below/x"].map(path);
        let seen = seen(&targets).await;
        assert_eq!(seen[..3], [(false, None), (true, None), (true, None)]);
        for (_, why) in &seen[3..] {
            let why = why.as_ref().unwrap();
            assert!(why.contains("making the folder") && why.contains("file"), "{why}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was made");
    }

    #[tokio::test]
    async fn small_files_that_are_there_are_hashed_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("small"), b"hello").unwrap();
        fs::write(path("large"), vec![0; (1 << 20) + 1]).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let names = ["small", "large", "folder", "free", "small"];
        let wanted: Vec<_> = names
            .iter()
            .map(|name| Wanted { content: ContentId::of(b"x"), size: 1, target: path(name) })
            .collect();
        let places = look_at(wanted.iter()).await;
        let id = |place: &Place| place.file.as_ref().map(|((file, _), _)| file.id());
        let hashed = places.iter().map(id);
        let hello = Some(ContentId::of(b"hello"));
        assert_eq!(hashed.collect::<Vec<_>>(), [hello, None, None, None, hello]);
        assert!(places.iter().all(|place| place.check().is_ok()));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_can_be_written_into_a_folder_of_the_kernel() {
        for target in ["/sys/x", "/sys/new/x"] {
            let why = seen(&[target.into()]).await.remove(0).1.unwrap();
            assert!(why.contains("making a file in /sys failed"), "{why}");
        }
    }

    #[test]
    fn above_a_bare_name_is_the_current_folder() {
        let above_each = ["a/b", "a", ".", "/a", "/"].map(|path| above(Path::new(path)));
        let told = [Some("a"), Some("."), None, Some("/"), None].map(|path| path.map(Path::new));
        assert_eq!(above_each, told);
    }
}
