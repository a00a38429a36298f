//! The entries of all peers, and the two ways to find them: by content and by word.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use crate::{
    api::Entry,
    content::ContentId,
    identity::{PeerId, Username},
    index::{
        model::Viewer,
        search::{Query, path_words},
    },
    path::SharePath,
    time::Timestamp,
};

/// An entry as it is kept.
pub(super) struct Shared {
    pub(super) peer: PeerId,
    pub(super) owner: Username,
    pub(super) entry: Entry,
    pub(super) published_at: Timestamp,
    /// Words of the whole path.
    pub(super) words: BTreeSet<String>,
    /// Words of its last part.
    pub(super) name_words: BTreeSet<String>,
}

impl Shared {
    pub(super) fn new(
        peer: PeerId,
        owner: Username,
        entry: Entry,
        published_at: Timestamp,
    ) -> Self {
        let (words, name_words) = path_words(&entry.path);
        Self { peer, owner, entry, published_at, words, name_words }
    }

    pub(super) fn seen_by(&self, viewer: &Viewer) -> bool {
        viewer.sees(&self.owner, &self.entry.visibility)
    }

    pub(super) fn reached_by(&self, viewer: &Viewer) -> bool {
        viewer.reaches(&self.owner, &self.entry.visibility)
    }

    fn key(&self) -> Key {
        (self.peer, self.entry.path.clone())
    }
}

/// An entry has one path in one peer.
type Key = (PeerId, SharePath);

/// Entries that have something in common.
type Together = BTreeMap<Key, Arc<Shared>>;

#[derive(Default)]
pub(super) struct Entries {
    by_peer: BTreeMap<PeerId, BTreeMap<SharePath, Arc<Shared>>>,
    by_content: BTreeMap<ContentId, Together>,
    by_word: BTreeMap<String, Together>,
}

impl Entries {
    pub(super) fn find(&self, peer: &PeerId, path: &SharePath) -> Option<&Shared> {
        Some(self.by_peer.get(peer)?.get(path)?)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Shared> {
        self.by_peer.values().flat_map(BTreeMap::values).map(|shared| &**shared)
    }

    /// The entries of a peer, in order of path.
    pub(super) fn of_peer(&self, peer: &PeerId) -> impl Iterator<Item = &Shared> {
        self.by_peer.get(peer).into_iter().flat_map(BTreeMap::values).map(|shared| &**shared)
    }

    pub(super) fn count_of_peer(&self, peer: &PeerId) -> u64 {
        self.by_peer.get(peer).map_or(0, |paths| paths.len() as u64)
    }

    pub(super) fn of_content(&self, content: &ContentId) -> impl Iterator<Item = &Shared> {
        self.by_content.get(content).into_iter().flat_map(BTreeMap::values).map(|shared| &**shared)
    }

    /// The entries that match a query.
    pub(super) fn matching<'a>(&'a self, query: &'a Query) -> Vec<&'a Shared> {
        let rarest = query
            .include
            .iter()
            .min_by_key(|beginning| self.with_words(beginning).map(BTreeMap::len).sum::<usize>());
        let mut candidates: Vec<&Shared> = match rarest {
            None => self.all().collect(),
            // An entry with several words of this beginning is there once.
            Some(beginning) => {
                let found: BTreeMap<&Key, &Arc<Shared>> =
                    self.with_words(beginning).flatten().collect();
                found.into_values().map(|shared| &**shared).collect()
            }
        };
        candidates.retain(|shared| query.matches(&shared.words));
        candidates
    }

    /// Adds an entry, in place of the one that its peer had under its path.
    pub(super) fn insert(&mut self, shared: Shared) {
        self.remove(&shared.peer, &shared.entry.path);
        let key = shared.key();
        let shared = Arc::new(shared);
        for word in &shared.words {
            let together = self.by_word.entry(word.clone()).or_default();
            together.insert(key.clone(), Arc::clone(&shared));
        }
        let together = self.by_content.entry(shared.entry.content).or_default();
        together.insert(key, Arc::clone(&shared));
        let paths = self.by_peer.entry(shared.peer).or_default();
        paths.insert(shared.entry.path.clone(), shared);
    }

    /// Removes an entry. `false`: there was none.
    pub(super) fn remove(&mut self, peer: &PeerId, path: &SharePath) -> bool {
        let Some(shared) = take(&mut self.by_peer, peer, path) else {
            return false;
        };
        let key = shared.key();
        take(&mut self.by_content, &shared.entry.content, &key);
        for word in &shared.words {
            take(&mut self.by_word, word, &key);
        }
        true
    }

    /// Removes the entries of which this is true.
    pub(super) fn remove_where(&mut self, gone: impl Fn(&Shared) -> bool) {
        self.remove_some(usize::MAX, gone);
    }

    /// Removes at most so many of those, and says how many.
    pub(super) fn remove_some(&mut self, most: usize, gone: impl Fn(&Shared) -> bool) -> usize {
        let these = self.all().filter(|shared| gone(shared)).take(most);
        let keys: Vec<Key> = these.map(Shared::key).collect();
        for (peer, path) in &keys {
            self.remove(peer, path);
        }
        keys.len()
    }

    /// Removes the entries of a peer.
    pub(super) fn remove_peer(&mut self, peer: &PeerId) {
        let paths: Vec<_> = self.of_peer(peer).map(|shared| shared.entry.path.clone()).collect();
        for path in paths {
            self.remove(peer, &path);
        }
    }

    /// For each word with this beginning, the entries that have it.
    fn with_words<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a Together> {
        self.by_word
            .range::<str, _>((Bound::Included(beginning), Bound::Unbounded))
            .take_while(move |(word, _)| word.starts_with(beginning))
            .map(|(_, together)| together)
    }
}

/// Takes something out of a map of maps and leaves no empty map behind.
fn take<A: Ord, B: Ord, V>(
    map: &mut BTreeMap<A, BTreeMap<B, V>>,
    outer: &A,
    inner: &B,
) -> Option<V> {
    let inside = map.get_mut(outer)?;
    let taken = inside.remove(inner);
    if inside.is_empty() {
        map.remove(outer);
    }
    taken
}
