//! How far a job is, and each file that it fetches at the moment.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use p2pshare_core::{
    content::ContentId,
    swarm::{ReadCursors, SwarmEvents},
    transfer::PartialSource,
};
use tokio::sync::watch;

use super::Wanted;

/// How far a job is. Cheap to read at any time.
#[derive(Debug, Default)]
pub struct JobProgress {
    total: AtomicU64,
    settled: AtomicU64,
    /// Bytes of files that are not fetched any more, that have come over the network.
    received: AtomicU64,
    /// Bytes of complete files of which nothing had to come.
    found: AtomicU64,
    running: Mutex<HashMap<u64, FileProgress>>,
    /// Its value is never read, only that it changes.
    begun: watch::Sender<()>,
}

/// A file that is fetched at the moment. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct FileProgress {
    content: ContentId,
    events: SwarmEvents,
    cursors: ReadCursors,
    opened: Arc<watch::Sender<Opened>>,
    /// Bytes that came in calls for the whole content.
    in_one_call: Arc<AtomicU64>,
}

/// Whether the file of a download is open.
#[derive(Clone, Debug)]
enum Opened {
    NotYet,
    Open(PartialSource),
    /// It never will be: it came whole, or could not be fetched.
    Never,
}

impl JobProgress {
    /// Bytes that are verified.
    pub fn done(&self) -> u64 {
        (self.settled.load(Relaxed) + self.verified()).min(self.total())
    }

    /// Bytes of all files of the job, as far as the index was told.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Sources that give bytes at the moment, each counted once however many files it gives.
    pub fn sources(&self) -> u32 {
        let running = self.running();
        let sources = running.values().flat_map(|file| file.events.by_source());
        let distinct: HashSet<_> =
            sources.filter(|source| source.active).map(|source| source.label).collect();
        u32::try_from(distinct.len()).unwrap_or(u32::MAX)
    }

    /// Bytes that have come over the network, of use or not, and those that were found to be there: whether anything moves.
    pub fn moved(&self) -> u64 {
        let running = self.running();
        let coming: u64 = running.values().map(FileProgress::received).sum();
        self.received.load(Relaxed) + self.found.load(Relaxed) + coming
    }

    /// The files that are fetched at the moment, by their numbers.
    pub fn files(&self) -> Vec<(u64, FileProgress)> {
        self.running().iter().map(|(number, file)| (*number, file.clone())).collect()
    }

    /// The file of this number, if it is fetched at the moment.
    pub fn file(&self, number: u64) -> Option<FileProgress> {
        self.running().get(&number).cloned()
    }

    /// A file with this content that is fetched at the moment.
    pub fn find(&self, content: &ContentId) -> Option<FileProgress> {
        self.running().values().find(|file| file.content == *content).cloned()
    }

    /// Waits until a file with this content is fetched.
    ///
    /// Cancellation: the future may be dropped at any time.
    pub async fn begun(&self, content: &ContentId) -> FileProgress {
        let mut begun = self.begun.subscribe();
        loop {
            begun.borrow_and_update();
            if let Some(file) = self.find(content) {
                return file;
            }
            // The sender lives as long as `self`.
            let _ = begun.changed().await;
        }
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.store(bytes, Relaxed);
    }

    pub(super) fn begin(&self, number: u64, wanted: &Wanted) -> FileProgress {
        let file = FileProgress::new(wanted.content);
        self.running().insert(number, file.clone());
        self.begun.send_replace(());
        file
    }

    /// A file is fetched no longer, for it is `complete` or could not be fetched.
    pub(super) fn end(&self, number: u64, wanted: &Wanted, complete: bool) {
        let mut running = self.running();
        let Some(file) = running.remove(&number) else { return };
        file.opened.send_if_modified(|opened| {
            let never = matches!(opened, Opened::NotYet);
            if never {
                *opened = Opened::Never;
            }
            never
        });
        match file.received() {
            0 if complete => self.found.fetch_add(wanted.size, Relaxed),
            received => self.received.fetch_add(received, Relaxed),
        };
        // Of what failed as much is done as came of it.
        let done = if complete { wanted.size } else { file.verified().min(wanted.size) };
        self.settled.fetch_add(done, Relaxed);
    }

    fn verified(&self) -> u64 {
        self.running().values().map(FileProgress::verified).sum()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, FileProgress>> {
        // A panic elsewhere leaves a map of counters: as good as before.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileProgress {
    fn new(content: ContentId) -> Self {
        Self {
            content,
            events: SwarmEvents::default(),
            cursors: ReadCursors::default(),
            opened: Arc::new(watch::Sender::new(Opened::NotYet)),
            in_one_call: Arc::default(),
        }
    }

    /// What is fetched.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// What happens in it.
    pub fn events(&self) -> &SwarmEvents {
        &self.events
    }

    /// Who reads it meanwhile.
    pub fn cursors(&self) -> &ReadCursors {
        &self.cursors
    }

    /// Bytes that are verified.
    pub fn verified(&self) -> u64 {
        self.events.progress().verified
    }

    /// Bytes that have come over the network, of use or not.
    fn received(&self) -> u64 {
        self.events.progress().received.saturating_add(self.in_one_call.load(Relaxed))
    }

    /// So many bytes more have come of the whole content in one call.
    pub(super) fn receive(&self, bytes: u64) {
        self.in_one_call.fetch_add(bytes, Relaxed);
    }

    /// The pieces that are there, once its file is open. One that comes whole is never open.
    pub fn pieces(&self) -> Option<PartialSource> {
        match &*self.opened.borrow() {
            Opened::Open(source) => Some(source.clone()),
            Opened::NotYet | Opened::Never => None,
        }
    }

    /// Waits until its file is open; `None` if it never will be, since it came whole or could not be fetched.
    ///
    /// Cancellation: the future may be dropped at any time.
    pub async fn opened(&self) -> Option<PartialSource> {
        let mut opened = self.opened.subscribe();
        loop {
            match opened.borrow_and_update().clone() {
                Opened::Open(source) => return Some(source),
                Opened::Never => return None,
                Opened::NotYet => {}
            }
            // The sender lives as long as `self`.
            let _ = opened.changed().await;
        }
    }

    pub(super) fn open(&self, source: PartialSource) {
        self.opened.send_replace(Opened::Open(source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_moves_as_what_comes_does() {
        let progress = JobProgress::default();
        let wanted = Wanted { content: ContentId::of(b"x"), size: 10, target: "x".into() };
        progress.expect(30);
        let begin = |number| progress.begin(number, &wanted);
        begin(0);
        progress.end(0, &wanted, true);
        assert_eq!((progress.done(), progress.moved()), (10, 10));
        begin(1);
        progress.end(1, &wanted, false);
        assert_eq!((progress.done(), progress.moved()), (10, 10));
        begin(2).receive(7);
        assert_eq!(progress.moved(), 17);
        progress.end(2, &wanted, true);
        assert_eq!((progress.done(), progress.moved()), (20, 17));
    }
}
