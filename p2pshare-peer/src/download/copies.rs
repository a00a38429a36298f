//! Contents that were downloaded a moment ago: the same content under another name is copied from there.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::{
    content::{ContentId, Manifest},
    identity::PeerId,
    swarm::Candidate,
    transfer::{FileSource, FileStamp, MemorySource, PieceSource, SharedFile},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// About what it takes to know of one.
const OVERHEAD: usize = 200;

/// Bytes of contents that are kept in memory, for those who waited while they came.
const MAX_LENT: usize = 8 << 20;

/// About what may be kept in memory of where files are: some 50,000 small ones, or 500 GiB in large ones.
const MAX_BYTES: usize = 16 << 20;

/// The files that downloads have brought lately. Downloads that have the same one fetch a content once, the others wait
/// for it; small ones that come together with others may come twice. A clone is the same.
///
/// A file is copied piece by piece like from any other source, so that one that was changed since does no harm.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: FileSource,
    kept: Mutex<Kept>,
    lent: MemorySource,
    lent_order: Mutex<Kept>,
    turns: Mutex<HashMap<ContentId, Arc<AsyncMutex<()>>>>,
}

/// What is kept, up to so many bytes.
#[derive(Debug, Default)]
struct Kept {
    /// The oldest first, with about what it takes.
    order: VecDeque<(ContentId, usize)>,
    known: HashSet<ContentId>,
    bytes: usize,
}

impl Kept {
    /// Adds one of so many bytes, unless it is there; gives those that are kept no more.
    fn add(&mut self, id: ContentId, bytes: usize, max: usize) -> Vec<ContentId> {
        if self.known.insert(id) {
            self.order.push_back((id, bytes));
            self.bytes += bytes;
        }
        let mut gone = Vec::new();
        while self.bytes > max
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.bytes -= bytes;
            self.known.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    fn remove(&mut self, id: &ContentId) {
        if self.known.remove(id)
            && let Some(place) = self.order.iter().position(|(other, _)| other == id)
            && let Some((_, bytes)) = self.order.remove(place)
        {
            self.bytes -= bytes;
        }
    }
}

/// The right to fetch a content; dropping it lets the next have it.
#[derive(Debug)]
pub(super) struct Turn {
    inner: Arc<Inner>,
    content: ContentId,
    /// `None` once it is dropped.
    lock: Option<Arc<AsyncMutex<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Copies {
    /// Waits until nobody else fetches this content.
    ///
    /// Cancellation: as if it had not been called.
    pub(super) async fn turn(&self, content: ContentId) -> Turn {
        let lock = self.inner.turns().entry(content).or_default().clone();
        let inner = self.inner.clone();
        let mut turn = Turn { inner, content, lock: Some(lock.clone()), guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    /// The turn, if nobody else has it.
    pub(super) fn free_turn(&self, content: ContentId) -> Option<Turn> {
        self.turn(content).now_or_never()
    }

    /// Notes where a content is now.
    pub(super) fn add(&self, path: &Path, manifest: Manifest, stamp: FileStamp) {
        let (id, path) = (manifest.id(), path.to_owned());
        let bytes = manifest.encoded_len() + path.as_os_str().len() + OVERHEAD;
        let mut kept = self.inner.kept();
        self.inner.files.insert(SharedFile { path, manifest, stamp });
        for gone in kept.add(id, bytes, MAX_BYTES) {
            self.inner.files.remove(&gone);
        }
    }

    /// What was fetched lately of a content as a source by the name of the peer `own`, if there is something and it is
    /// what it was.
    pub(super) async fn candidate(&self, content: &ContentId, own: PeerId) -> Option<Candidate> {
        let candidate =
            |source| Some(Candidate { id: own, label: "this machine".to_owned(), source });
        if self.inner.lent.manifest(content).await.is_ok() {
            return candidate(Arc::new(self.inner.lent.clone()));
        }
        let source = Arc::new(self.inner.files.clone());
        match source.have(content).await {
            Ok(_) => candidate(source),
            Err(_) => {
                let mut kept = self.inner.kept();
                self.inner.files.remove(content);
                kept.remove(content);
                None
            }
        }
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<ContentId, Arc<AsyncMutex<()>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Lets the next have the turn, and the content, which is complete in memory: they need not wait until it is on the
    /// disk. Gives the turn back if nobody waits.
    pub(super) fn hand_on(self, content: &[Bytes]) -> Option<Self> {
        // In the map, here, and in the guard; any other is of somebody who waits.
        let waits = self.lock.as_ref().is_some_and(|lock| Arc::strong_count(lock) > 3);
        if !waits {
            return Some(self);
        }
        let mut order = self.inner.lent_order.lock().unwrap_or_else(PoisonError::into_inner);
        if order.known.contains(&self.content) {
            // From there it came.
            return None;
        }
        let content = Bytes::from(content.concat());
        let bytes = content.len() + OVERHEAD;
        let id = self.inner.lent.insert(content).id();
        for gone in order.add(id, bytes, MAX_LENT) {
            self.inner.lent.remove(&gone);
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.inner.turns();
        // Before it is looked whether anybody else waits.
        (self.guard, self.lock) = (None, None);
        if turns.get(&self.content).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            turns.remove(&self.content);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use p2pshare_core::content::hash_bytes;

    use super::*;

    const ME: PeerId = PeerId::from_bytes([1; 32]);

    #[tokio::test]
    async fn a_file_is_a_source_for_as_long_as_it_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"content").unwrap();
        let copies = Copies::default();
        let manifest = hash_bytes(b"content");
        let id = manifest.id();
        assert!(copies.candidate(&id, ME).await.is_none());
        let stamp = FileStamp::of(&path.metadata().unwrap());
        copies.add(&path, manifest.clone(), stamp);
        copies.add(&path, manifest, stamp);
        assert_eq!(copies.inner.kept().order.len(), 1);
        let found = copies.candidate(&id, ME).await.unwrap();
        assert_eq!(found.source.manifest(&id).await.unwrap().id(), id);

        fs::write(&path, b"contents").unwrap();
        assert!(copies.candidate(&id, ME).await.is_none());
        let kept = copies.inner.kept();
        assert!(kept.order.is_empty() && kept.bytes == 0);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let copies = Copies::default();
        let stamp = FileStamp { len: 4, mtime_ns: 0, inode: 1 };
        let name = "x".repeat(4000);
        for number in 0..5000_u32 {
            copies.add(Path::new(&name), hash_bytes(&number.to_le_bytes()), stamp);
        }
        let kept = copies.inner.kept();
        assert!(kept.bytes <= MAX_BYTES && kept.order.len() > 3000, "{}", kept.order.len());
        let newest = hash_bytes(&4999_u32.to_le_bytes()).id();
        assert!(copies.inner.files.remove(&newest).is_some());
        assert!(copies.inner.files.remove(&hash_bytes(&0_u32.to_le_bytes()).id()).is_none());
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_turn() {
        let copies = Copies::default();
        let [a, b] = [b"a", b"b"].map(|bytes| ContentId::of(bytes));
        let first = copies.turn(a).await;
        let mut second = Box::pin(copies.turn(a));
        assert!(second.as_mut().now_or_never().is_none());
        drop(copies.turn(b).now_or_never().unwrap());
        drop(copies.turn(a).now_or_never());
        drop(first);
        drop(second.await);
        assert!(copies.inner.turns().is_empty());
    }

    #[tokio::test]
    async fn what_is_handed_on_is_there_for_who_waited() {
        let copies = Copies::default();
        let (content, id) = (Bytes::from_static(b"content"), ContentId::of(b"content"));
        let first = copies.turn(id).await.hand_on(std::slice::from_ref(&content));
        assert!(copies.candidate(&id, ME).await.is_none(), "nobody waited");
        let mut second = Box::pin(copies.turn(id));
        assert!(second.as_mut().now_or_never().is_none(), "it waits for what is not kept yet");
        let first = first.unwrap().hand_on(&[content.slice(..3), content.slice(3..)]);
        assert!(first.is_none());
        let second = second.await;
        assert!(copies.candidate(&id, ME).await.is_some());
        drop(second);

        // Not for ever.
        for number in 0..20_u8 {
            let content = Bytes::from(vec![number; 1 << 20]);
            let id = ContentId::of(&content);
            let first = copies.turn(id).await;
            let mut second = Box::pin(copies.turn(id));
            assert!(second.as_mut().now_or_never().is_none());
            assert!(first.hand_on(&[content]).is_none());
            drop(second.await);
        }
        assert!(copies.candidate(&id, ME).await.is_none());
        let lent = copies.inner.lent_order.lock().unwrap();
        assert!(lent.bytes <= MAX_LENT && lent.order.len() == 7, "{}", lent.bytes);
    }
}
