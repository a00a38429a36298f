//! What of a share has changed and is to be looked at, once it is left alone.
//!
//! Knows no files and no clock: it is told what happens and when.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::share::Scope;

/// More places than this are not kept: then the folders are that they lie in, or the whole share.
pub(super) const MAX_PLACES: usize = 20_000;

/// A rename is told as two changes, the name that goes first. After this time the other one was told too.
const PAIRED: Duration = Duration::from_millis(100);

/// How long a place must be left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// In general.
    pub(super) quiet: Duration,
    /// If it is a file that somebody has open and writes to.
    pub(super) writing: Duration,
}

/// What happened to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is something new.
    Created,
    /// It was opened, for reading or writing.
    Opened,
    /// A file was written to.
    Written,
    /// A file was closed that could be written to.
    Closed,
    /// It has come from somewhere else.
    MovedHere,
    /// It is gone, or has moved to somewhere else.
    Gone,
    /// Anything else.
    Touched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Writing,
    MovedHere,
    Gone,
    Settling,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    /// When it changed last.
    at: Instant,
    state: State,
}

/// The places of one share that are to be looked at.
#[derive(Debug)]
pub(super) struct Dirty {
    patience: Patience,
    places: BTreeMap<Vec<u8>, Noted>,
    /// From when on the whole share is to be looked at.
    everything: Option<Instant>,
}

impl Dirty {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, places: BTreeMap::new(), everything: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.everything.is_none()
    }

    /// Something happened to a place.
    pub(super) fn note(&mut self, key: Vec<u8>, change: Change, now: Instant) {
        let before = self.places.get(&key).map(|noted| noted.state);
        let state = match (change, before) {
            (Change::Opened, Some(State::Created)) | (Change::Written, _) => State::Writing,
            // Whoever reads changes nothing.
            (Change::Opened, _) => return,
            (Change::Created, _) => State::Created,
            (Change::MovedHere, _) => State::MovedHere,
            (Change::Gone, _) => State::Gone,
            (Change::Touched, Some(before)) => before,
            (Change::Closed | Change::Touched, _) => State::Settling,
        };
        self.insert(key, Noted { at: now, state });
    }

    /// A place is to be looked at again, unless it will be anyway.
    pub(super) fn note_again(&mut self, key: Vec<u8>, now: Instant) {
        if !self.places.contains_key(&key) {
            self.insert(key, Noted { at: now, state: State::Settling });
        }
    }

    /// The whole share is to be looked at from then on, at the latest.
    pub(super) fn note_everything(&mut self, from: Instant) {
        self.everything = Some(self.everything.map_or(from, |before| before.min(from)));
    }

    /// Whether a file is being written to.
    pub(super) fn is_writing(&self, key: &[u8], now: Instant) -> bool {
        let is_writing =
            |noted: &Noted| noted.state == State::Writing && noted.due(self.patience) > now;
        self.places.get(key).is_some_and(is_writing)
    }

    /// Whether something was left alone for long enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.everything.is_some_and(|from| from <= now)
            || self.places.values().any(|noted| noted.due(self.patience) <= now)
    }

    /// Takes what was left alone for long enough, and with it what was moved or is gone: of a file that is renamed both
    /// names must be looked at together.
    pub(super) fn take(&mut self, now: Instant) -> Option<Scope> {
        let patience = self.patience;
        if self.everything.is_some_and(|from| from <= now) {
            self.everything = None;
            self.places
                .retain(|_, noted| noted.state == State::Writing && noted.due(patience) > now);
            return Some(Scope::all());
        }
        let ready = |_: &Vec<u8>, noted: &mut Noted| match noted.state {
            State::MovedHere => true,
            State::Gone => noted.at + PAIRED <= now,
            State::Created | State::Writing | State::Settling => noted.due(patience) <= now,
        };
        let taken: Vec<_> = self.places.extract_if(.., ready).map(|(key, _)| key).collect();
        (!taken.is_empty()).then(|| Scope::of(taken))
    }

    fn insert(&mut self, key: Vec<u8>, noted: Noted) {
        if key.is_empty() {
            return self.note_everything(noted.at + self.patience.quiet);
        }
        self.places.insert(key, noted);
        if self.places.len() > MAX_PLACES {
            self.collapse(noted.at);
        }
    }

    /// Keeps folders instead of what lies in them.
    fn collapse(&mut self, now: Instant) {
        let places = std::mem::take(&mut self.places);
        let settling = Noted { at: now, state: State::Settling };
        self.places = places.into_keys().map(|key| (parent(key), settling)).collect();
        if self.places.remove(&[][..]).is_some() || self.places.len() > MAX_PLACES / 2 {
            self.places.clear();
            self.note_everything(now + self.patience.quiet);
        }
    }
}

impl Noted {
    fn due(&self, patience: Patience) -> Instant {
        match self.state {
            State::Writing => self.at + patience.writing,
            _ => self.at + patience.quiet,
        }
    }
}

/// The folder that a place lies in.
fn parent(mut key: Vec<u8>) -> Vec<u8> {
    let end = key.iter().rposition(|byte| *byte == 0).unwrap_or(0);
    key.truncate(end);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { quiet: Duration::from_secs(1), writing: Duration::from_secs(30) };

    struct Told {
        dirty: Dirty,
        begin: Instant,
    }

    impl Told {
        fn new() -> Self {
            Self { dirty: Dirty::new(PATIENCE), begin: Instant::now() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.begin + Duration::from_millis(ms)
        }

        fn note(&mut self, ms: u64, key: &str, change: Change) {
            let at = self.at(ms);
            self.dirty.note(key.replace('/', "\0").into_bytes(), change, at);
        }

        fn take(&mut self, ms: u64) -> Vec<String> {
            let at = self.at(ms);
            if !self.dirty.is_due(at) {
                return Vec::new();
            }
            let scope = self.dirty.take(at).unwrap();
            let text = |key: &Vec<u8>| String::from_utf8_lossy(key).replace('\0', "/");
            scope.places().iter().map(text).collect()
        }
    }

    #[test]
    fn a_file_is_taken_once_it_was_closed_and_left_alone() {
        let mut told = Told::new();
        told.note(0, "a", Change::Created);
        told.note(1, "a", Change::Opened);
        for ms in (0..20_000).step_by(400) {
            told.note(ms, "a", Change::Written);
            assert!(told.take(ms + 399).is_empty());
        }
        // A writer that rests is waited for longer than one that is done.
        assert!(told.take(30_000).is_empty());
        assert!(told.dirty.is_writing(b"a", told.at(30_000)));
        told.note(31_000, "a", Change::Closed);
        assert!(!told.dirty.is_writing(b"a", told.at(31_000)));
        assert!(told.take(31_999).is_empty());
        assert_eq!(told.take(32_000), ["a"]);
        assert!(told.dirty.is_empty());
    }

    #[test]
    fn a_writer_that_never_closes_is_not_waited_for_for_ever() {
        let mut told = Told::new();
        told.note(0, "a", Change::Written);
        assert!(told.take(29_999).is_empty());
        assert_eq!(told.take(30_000), ["a"]);
    }

    #[test]
    fn reading_is_no_change_and_a_link_is_no_writing() {
        let mut told = Told::new();
        told.note(0, "a", Change::Opened);
        assert!(told.dirty.is_empty());
        told.note(0, "link", Change::Created);
        told.note(500, "link", Change::Touched);
        assert_eq!(told.take(1500), ["link"]);
    }

    #[test]
    fn both_names_of_a_renamed_file_are_taken_together() {
        let mut told = Told::new();
        told.note(0, "old", Change::Gone);
        told.note(1, "new", Change::MovedHere);
        told.note(0, "other", Change::Written);
        assert_eq!(told.take(1000), ["new", "old"]);
        // Each also with whatever else is due.
        told.note(2000, "a", Change::Closed);
        told.note(2990, "new", Change::Gone);
        told.note(2990, "newer", Change::MovedHere);
        assert_eq!(told.take(3000), ["a", "newer"], "the other name may not have been told yet");
        assert_eq!(told.take(3990), ["new"]);
    }

    #[test]
    fn everything_is_taken_at_its_time_and_writers_stay_known() {
        let mut told = Told::new();
        told.note(0, "a/b", Change::Closed);
        told.note(0, "written", Change::Written);
        let (later, sooner) = (told.at(900), told.at(500));
        told.dirty.note_everything(later);
        told.dirty.note_everything(sooner);
        assert!(told.take(499).is_empty());
        assert_eq!(told.take(500), [""]);
        assert!(told.dirty.is_writing(b"written", told.at(1000)));
        assert!(told.take(2000).is_empty());
        told.note(2000, "", Change::Touched);
        assert!(told.take(2999).is_empty());
        assert_eq!(told.take(3000), [""], "the root is everything");
    }

    #[test]
    fn very_many_places_become_their_folders_and_then_everything() {
        let mut told = Told::new();
        for number in 0..=MAX_PLACES {
            told.note(0, &format!("folder {}/{number}", number % 3), Change::Closed);
        }
        assert_eq!(told.take(1000), ["folder 0", "folder 1", "folder 2"]);
        for number in 0..=MAX_PLACES {
            told.note(2000, &format!("folder {number}/file"), Change::Closed);
        }
        assert_eq!(told.take(3000), [""]);
        for number in 0..=MAX_PLACES {
            told.note(4000, &number.to_string(), Change::Closed);
        }
        assert_eq!(told.take(5000), [""]);
        assert!(told.dirty.is_empty());
    }

    #[test]
    fn what_is_noted_again_waits_no_longer_than_it_has_to() {
        let mut told = Told::new();
        told.note(0, "a", Change::Written);
        let at = told.at(10);
        told.dirty.note_again(b"a".to_vec(), at);
        told.dirty.note_again(b"b".to_vec(), at);
        assert_eq!(told.take(1010), ["b"]);
        assert!(told.dirty.is_writing(b"a", told.at(1010)));
    }
}
