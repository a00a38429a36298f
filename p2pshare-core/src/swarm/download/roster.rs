//! The sources that a download knows of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    swarm::{Candidate, SourceId},
    transfer::TransferError,
};

/// So many sources of one content are known at a time: an index may name others each time that it is asked.
const MOST: usize = 4096;

/// Resting times double no more often than this.
const MAX_DOUBLINGS: u32 = 5;

/// Every source that was ever found, what it does, and how it failed last.
#[derive(Default)]
pub(super) struct Roster {
    entries: BTreeMap<SourceId, Entry>,
}

pub(super) struct Entry {
    pub(super) candidate: Candidate,
    pub(super) failure: Option<TransferError>,
    /// It was found by the last look for sources.
    listed: bool,
    status: Status,
    rests: u32,
    /// It made room for others, and has not failed since.
    dismissed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    New,
    Running,
    Resting { until: Duration },
    StruckOff,
}

impl Entry {
    /// Whether it made room for others, and is still there as far as is known.
    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed && self.listed && self.status != Status::StruckOff
    }

    fn has_rested(&self, now: Duration) -> bool {
        matches!(self.status, Status::Resting { until } if until <= now)
    }
}

impl Roster {
    /// Takes what a look for sources has found.
    pub(super) fn update(&mut self, candidates: Vec<Candidate>) {
        self.entries.values_mut().for_each(|entry| entry.listed = false);
        if self.entries.len() + candidates.len() > MOST {
            // Those that do nothing and are named no more make room, except for liars; who never did anything comes again
            // when it is named again.
            let named: BTreeSet<_> = candidates.iter().map(|candidate| candidate.id).collect();
            self.entries.retain(|id, entry| match entry.status {
                Status::New => false,
                Status::Resting { .. } => named.contains(id),
                Status::Running | Status::StruckOff => true,
            });
        }
        for candidate in candidates {
            if self.entries.len() >= MOST && !self.entries.contains_key(&candidate.id) {
                continue;
            }
            let entry = self.entries.entry(candidate.id).or_insert_with(|| Entry {
                candidate: candidate.clone(),
                failure: None,
                listed: true,
                status: Status::New,
                rests: 0,
                dismissed: false,
            });
            entry.candidate = candidate;
            entry.listed = true;
        }
    }

    /// Up to `room` sources to start now: new ones first, then those that have rested. They count as running. Says of
    /// each whether it is new.
    pub(super) fn start(&mut self, room: usize, now: Duration) -> Vec<(Candidate, bool)> {
        let mut chosen = Vec::new();
        for again in [false, true] {
            for entry in self.entries.values_mut().filter(|entry| entry.listed) {
                let due = if again { entry.has_rested(now) } else { entry.status == Status::New };
                if due && chosen.len() < room {
                    entry.status = Status::Running;
                    chosen.push((entry.candidate.clone(), !again));
                }
            }
        }
        chosen
    }

    /// Whether a source could be started.
    pub(super) fn has_waiting(&self, now: Duration) -> bool {
        let mut listed = self.entries.values().filter(|entry| entry.listed);
        listed.any(|entry| entry.status == Status::New || entry.has_rested(now))
    }

    /// A source has failed, but goes on.
    pub(super) fn note(&mut self, id: SourceId, failure: TransferError) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.failure = Some(failure);
            entry.dismissed = false;
        }
    }

    /// A source that was of no use makes room for others for a while.
    pub(super) fn dismiss(&mut self, id: SourceId, rest: Duration, now: Duration) {
        self.rest(id, rest, now);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.dismissed = true;
        }
    }

    /// Whether a source made room for others that may gain what is missing.
    pub(super) fn is_anyone_dismissed(&self) -> bool {
        self.entries.values().any(Entry::is_dismissed)
    }

    /// A source makes room for others for a while.
    pub(super) fn rest(&mut self, id: SourceId, rest: Duration, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let rest = rest.saturating_mul(1 << entry.rests.min(MAX_DOUBLINGS));
            entry.rests = entry.rests.saturating_add(1);
            entry.status = Status::Resting { until: now.saturating_add(rest) };
        }
    }

    /// A source is never started again.
    pub(super) fn strike(&mut self, id: SourceId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.status = Status::StruckOff;
        }
    }

    /// The last failure of each source that has failed.
    pub(super) fn causes(&self) -> Vec<(String, TransferError)> {
        let failed = self.entries.values().filter_map(|entry| {
            let failure = entry.failure.clone()?;
            Some((entry.candidate.label.clone(), failure))
        });
        failed.collect()
    }

    /// Whether a source failed in a way that passes.
    pub(super) fn may_come_back(&self) -> bool {
        let mut failures = self.entries.values().filter_map(|entry| entry.failure.as_ref());
        failures.any(TransferError::is_passing)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{identity::PeerId, transfer::MemorySource};

    fn candidate(number: usize) -> Candidate {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let source = Arc::new(MemorySource::new());
        Candidate { id: PeerId::from_bytes(id), label: number.to_string(), source }
    }

    #[test]
    fn who_was_tried_in_vain_and_is_named_no_more_makes_room() {
        let (mut roster, now) = (Roster::default(), Duration::ZERO);
        roster.update((0..MOST).map(candidate).collect());
        let tried = roster.start(MOST, now);
        assert_eq!(tried.len(), MOST);
        let [running, liar] = [0, 1].map(|number| candidate(number).id);
        roster.strike(liar);
        for (one, _) in &tried[2..] {
            roster.dismiss(one.id, Duration::from_secs(1), now);
        }
        roster.update((MOST - 10..2 * MOST).map(candidate).collect());
        assert_eq!(roster.entries.len(), MOST);
        for kept in [running, liar, candidate(MOST - 10).id, candidate(MOST).id] {
            assert!(roster.entries.contains_key(&kept));
        }
        assert!(!roster.entries.contains_key(&candidate(5).id));
    }
}
