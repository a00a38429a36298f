//! Manifests that were asked for lately.

use std::collections::{BTreeMap, HashMap};

use p2pshare_core::content::{ContentId, Manifest};

/// Keeps the manifests that were used last, up to a number of bytes.
#[derive(Debug)]
pub(super) struct ManifestCache {
    max_bytes: usize,
    bytes: usize,
    /// Counts uses: the larger, the later.
    clock: u64,
    manifests: HashMap<ContentId, (Manifest, u64)>,
    by_use: BTreeMap<u64, ContentId>,
}

impl ManifestCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, clock: 0, manifests: HashMap::new(), by_use: BTreeMap::new() }
    }

    pub(super) fn find(&mut self, content: &ContentId) -> Option<Manifest> {
        let (manifest, used) = self.manifests.get_mut(content)?;
        self.clock += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.clock, *content);
        *used = self.clock;
        Some(manifest.clone())
    }

    /// One that is too large for the cache is not kept.
    pub(super) fn insert(&mut self, manifest: &Manifest) {
        let id = manifest.id();
        if size(manifest) > self.max_bytes || self.manifests.contains_key(&id) {
            return;
        }
        self.clock += 1;
        self.bytes += size(manifest);
        self.manifests.insert(id, (manifest.clone(), self.clock));
        self.by_use.insert(self.clock, id);
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            if let Some((manifest, _)) = self.manifests.remove(&oldest) {
                self.bytes -= size(&manifest);
            }
        }
    }
}

/// About what it takes in memory.
fn size(manifest: &Manifest) -> usize {
    const OVERHEAD: usize = 256;
    manifest.encoded_len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(number: u8) -> Manifest {
        Manifest::single(ContentId::of(&[number]), 1).unwrap()
    }

    #[test]
    fn the_one_not_used_for_longest_goes() {
        let all: Vec<_> = (0..4).map(manifest).collect();
        let mut cache = ManifestCache::new(3 * size(&all[0]));
        all[..3].iter().for_each(|one| cache.insert(one));
        assert!(cache.find(&all[0].id()).is_some());
        cache.insert(&all[3]);
        let kept = |cache: &mut ManifestCache| {
            all.iter().map(|one| cache.find(&one.id()).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&mut cache), [true, false, true, true]);
        assert_eq!(cache.bytes, 3 * size(&all[0]));
        cache.insert(&all[3]);
        assert_eq!(cache.bytes, 3 * size(&all[0]));
    }

    #[test]
    fn one_that_is_too_large_is_not_kept() {
        let mut cache = ManifestCache::new(10);
        cache.insert(&manifest(1));
        assert!(cache.find(&manifest(1).id()).is_none());
        assert_eq!(cache.bytes, 0);
    }
}
