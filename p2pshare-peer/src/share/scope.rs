//! Which part of a share is looked at.

use std::sync::Arc;

use crate::catalog::local::is_at_or_below;

/// Places of a share: files, and folders with all below them, whether they are there or not. As keys in order, none
/// below another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope(Arc<[Vec<u8>]>);

impl Scope {
    /// The whole share.
    pub(crate) fn all() -> Self {
        Self(Arc::new([Vec::new()]))
    }

    /// These places; the key of the root is the whole share.
    pub(crate) fn of(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable();
        // What is below a place comes directly after it.
        keys.dedup_by(|later, earlier| is_at_or_below(later, earlier));
        Self(keys.into())
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.first().is_some_and(Vec::is_empty)
    }

    pub(crate) fn places(&self) -> &Arc<[Vec<u8>]> {
        &self.0
    }

    /// Whether something is one of the places, or lies below one.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        let before = self.0.partition_point(|place| place.as_slice() <= key);
        self.0[..before].last().is_some_and(|place| is_at_or_below(key, place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(keys: &[&str]) -> Vec<Vec<u8>> {
        let keys = keys.iter().map(|key| key.replace('/', "\0").into_bytes());
        Scope::of(keys).places().to_vec()
    }

    #[test]
    fn what_lies_below_a_place_belongs_to_it() {
        assert_eq!(scope(&["a/b", "a.txt", "a", "a/b/c", "ab"]), scope(&["a", "a.txt", "ab"]));
        assert_eq!(scope(&["a", "", "b/c"]), scope(&[""]));
        assert!(Scope::of([Vec::new()]).is_all() && Scope::all().is_all());
        assert!(!Scope::of([b"a".to_vec()]).is_all() && !Scope::of([]).is_all());
    }

    proptest! {
        #[test]
        fn a_scope_covers_what_it_was_made_of_once(
            keys in prop::collection::vec(prop::collection::vec(0..3_u8, 0..5), 0..12),
            other in prop::collection::vec(0..3_u8, 0..6),
        ) {
            let scope = Scope::of(keys.clone());
            for key in &keys {
                let over = scope.places().iter().filter(|place| is_at_or_below(key, place));
                prop_assert_eq!(over.count(), 1, "{:?} in {:?}", key, scope);
                prop_assert!(scope.covers(key));
            }
            prop_assert!(scope.places().is_sorted());
            let is_over = scope.places().iter().any(|place| is_at_or_below(&other, place));
            prop_assert_eq!(scope.covers(&other), is_over, "{:?} in {:?}", other, scope);
        }
    }
}
