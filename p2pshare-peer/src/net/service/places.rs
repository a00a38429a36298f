//! Places for pushes: so many at a time, and of one user not all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use p2pshare_core::identity::Username;

/// Lets so many pushes run at a time. A clone is another handle on the same places.
#[derive(Clone, Debug)]
pub(super) struct Places {
    most: usize,
    most_per_user: usize,
    taken: Arc<Mutex<HashMap<Username, usize>>>,
}

/// A place. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    user: Username,
}

impl Places {
    pub(super) fn new(most: usize, most_per_user: usize) -> Self {
        Self { most, most_per_user, taken: Arc::default() }
    }

    /// A place for a push of this user, if there is one.
    pub(super) fn take(&self, user: &Username) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.get(user).copied().unwrap_or(0);
        if own >= self.most_per_user || taken.values().sum::<usize>() >= self.most {
            return None;
        }
        taken.insert(user.clone(), own + 1);
        Some(Place { places: self.clone(), user: user.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Username, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_all_places() {
        let user = |name: &str| Username::parse(name).unwrap();
        let places = Places::new(5, 3);
        let mut held: Vec<_> = (0..9).filter_map(|_| places.take(&user("greedy"))).collect();
        assert_eq!(held.len(), 3);
        held.push(places.take(&user("b")).unwrap());
        held.push(places.take(&user("c")).unwrap());
        assert!(places.take(&user("d")).is_none(), "there are five");
        held.remove(0);
        held.push(places.take(&user("greedy")).unwrap());
        held.clear();
        assert!(places.taken().is_empty());
    }
}
