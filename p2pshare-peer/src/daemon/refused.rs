//! What the index does not take, and when that is tried again.

use crate::publish::Refused;

/// It is tried again after so many heartbeats at most.
const MOST_BEATS: u32 = 8;

/// What the index refused the last time. It is tried again now and then: the user may be in the group by now, or may have
/// more room.
#[derive(Default)]
pub(super) struct LastRefused {
    refused: Vec<Refused>,
    /// Heartbeats since it was tried.
    beats: u32,
    /// It is tried after so many.
    wait: u32,
}

impl LastRefused {
    /// Notes what was refused. Gives what was not refused the last time.
    pub(super) fn take(&mut self, refused: &[Refused]) -> Vec<Refused> {
        let is_new = |one: &&Refused| !self.refused.iter().any(|told| told.is_like(one));
        let new: Vec<_> = refused.iter().filter(is_new).cloned().collect();
        if !new.is_empty() || refused.len() != self.refused.len() {
            (self.beats, self.wait) = (0, 1);
        }
        self.refused = refused.to_vec();
        new
    }

    /// Whether to try again at this heartbeat, if anything is refused, in whichever process it was.
    pub(super) fn is_due(&mut self, refused: bool) -> bool {
        self.beats += 1;
        if !refused || self.beats < self.wait {
            return false;
        }
        (self.beats, self.wait) = (0, self.wait.saturating_mul(2).min(MOST_BEATS));
        true
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::api::Visibility;

    use super::*;

    fn refused(files: u64, reason: &str) -> Refused {
        Refused { visibility: Visibility::Public, reach: None, files, reason: reason.to_owned() }
    }

    #[test]
    fn it_is_told_once_and_tried_less_and_less_often() {
        let mut last = LastRefused::default();
        assert!(!last.is_due(false), "nothing was refused");
        assert_eq!(last.take(&[refused(3, "full")]).len(), 1);
        let tried: Vec<_> = (1..=40)
            .filter(|_| {
                let due = last.is_due(true);
                if due {
                    // As many as there are does not make it another trouble.
                    assert_eq!(last.take(&[refused(4, "full")]), []);
                }
                due
            })
            .collect();
        assert_eq!(tried, [1, 3, 7, 15, 23, 31, 39]);
        assert_eq!(last.take(&[refused(4, "full"), refused(1, "gone")]).len(), 1);
        assert!(last.is_due(true), "something else is wrong now");
        assert_eq!(last.take(&[]), []);
        assert!((0..40).all(|_| !last.is_due(false)));
        assert!(last.is_due(true), "another process was refused something");
    }
}
