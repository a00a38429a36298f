//! What is known of a share that is followed.

use std::time::{Duration, Instant};

use super::{WatchOptions, place::Place};
use crate::catalog::Share;

/// A share that is looked through now and then is so for at most one part in so many of the time.
const POLL_SHARE: u32 = 20;

/// A share that is followed.
pub(super) struct Following {
    pub(super) share: Share,
    /// What was there when it was looked last.
    pub(super) place: Option<Place>,
    /// Somebody looks what is there.
    pub(super) looking: bool,
    /// Its disk does not answer.
    pub(super) silent: bool,
    /// It is looked through as a whole.
    pub(super) scanning: bool,
    /// The system does not tell of changes, and is asked again from then on.
    pub(super) refused: Option<Instant>,
    /// When it is looked through as a whole again.
    pub(super) next: Option<Instant>,
    /// It was told that its folder is not there.
    pub(super) absent: bool,
    /// So often it is looked through when somebody has looked what is there, whether that has changed or not.
    pub(super) doubts: u8,
}

impl Following {
    pub(super) fn new(share: Share) -> Self {
        Self {
            share,
            place: None,
            looking: false,
            silent: false,
            scanning: false,
            refused: None,
            next: None,
            absent: false,
            doubts: 0,
        }
    }

    /// Takes over what the catalog says of it.
    pub(super) fn adopt(&mut self, share: Share) {
        if self.share.online && !share.online {
            // What was found not to be there may have come back before anybody looked what is there: the next who tells
            // may have begun before that.
            self.doubts = 2;
        }
        self.share = share;
    }

    /// Takes over what was seen to be there. Whether it is to be looked through.
    pub(super) fn see(&mut self, place: Place) -> bool {
        (self.looking, self.silent) = (false, false);
        let before = self.place.replace(place);
        let has_doubts = self.doubts > 0;
        self.doubts = self.doubts.saturating_sub(1);
        has_doubts || before.is_some_and(|before| before.identity != place.identity)
    }

    /// How often it is looked through as a whole, which took so long.
    pub(super) fn every(&self, options: &WatchOptions, took: Duration) -> Duration {
        let is_told = self.refused.is_none() && !self.place.is_some_and(|place| place.is_remote);
        let least = if is_told { options.thorough } else { options.poll };
        least.max(took * POLL_SHARE)
    }
}
