//! At which shares something is done.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{WatchEvent, WatchEvents};
use crate::catalog::ShareId;

/// Tells what begins at shares, and when nothing is done there any more. A clone is the same.
#[derive(Clone)]
pub(super) struct Tasks {
    events: WatchEvents,
    /// How much is done at a share.
    running: Arc<Mutex<HashMap<ShareId, usize>>>,
}

/// Something that is done at a share. It ends when this is dropped, however that comes.
pub(super) struct Task {
    tasks: Tasks,
    share: ShareId,
}

impl Tasks {
    pub(super) fn new(events: WatchEvents) -> Self {
        Self { events, running: Arc::default() }
    }

    /// A share is looked at, or so much in it is hashed.
    pub(super) fn begin(&self, share: ShareId, files: u64, bytes: u64) -> Task {
        // Told while it is locked, so that all hear it in the order in which it is.
        let mut running = self.running();
        *running.entry(share).or_default() += 1;
        (self.events)(WatchEvent::Begun { share, files, bytes });
        drop(running);
        Task { tasks: self.clone(), share }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ShareId, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let (tasks, share) = (&self.tasks, self.share);
        let mut running = tasks.running();
        if let Some(number) = running.get_mut(&share) {
            *number -= 1;
            if *number == 0 {
                running.remove(&share);
                (tasks.events)(WatchEvent::Rested { share });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rests_when_the_last_that_is_done_there_has_ended() {
        let told = Arc::new(Mutex::new(Vec::<(i64, Option<u64>)>::new()));
        let kept = told.clone();
        let tasks = Tasks::new(Arc::new(move |event: WatchEvent| {
            kept.lock().unwrap().push(match event {
                WatchEvent::Begun { share, files, .. } => (share.number(), Some(files)),
                WatchEvent::Rested { share } => (share.number(), None),
                other => panic!("{other:?}"),
            });
        }));
        let [one, two] = [1, 2].map(ShareId::from_number);
        let (look, hash) = (tasks.begin(one, 0, 0), tasks.begin(one, 3, 30));
        drop((look, tasks.begin(two, 0, 0)));
        drop(hash);
        let expected = vec![(1, Some(0)), (1, Some(3)), (2, Some(0)), (2, None), (1, None)];
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
