//! Time, and what happens when.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use p2pshare_core::content::PieceIndex;

/// Nanoseconds since the beginning.
pub(crate) type Time = u64;

/// A peer's place among all.
pub(crate) type Peer = u32;

/// An upload's number.
pub(crate) type UploadId = u64;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A peer begins to download.
    Start(Peer),
    /// The index hears that it does.
    Listed(Peer),
    /// It asks the index for sources.
    Search(Peer),
    /// It vanishes.
    Vanish(Peer),
    /// The index notices that.
    Unlisted(Peer),
    /// A source has said what it has.
    Opened(Peer, Peer, u32),
    /// A downloader learns that a source is not there or refuses.
    Broken(Peer, Peer, u32),
    /// It is time to try a source again.
    Retry(Peer, Peer, u32),
    /// It is time to ask the planner again.
    Ask(Peer, Peer),
    /// A request has come to its source.
    Requested(UploadId),
    /// A source has told that the request waits.
    Queued(UploadId),
    /// A source has told what it gives of what was left to it.
    Chosen(UploadId),
    /// A source begins to send a piece: its receiver sees it.
    Begun(UploadId),
    /// A request that was given up is so at its source too.
    Dropped(UploadId),
    /// A source's line has sent a piece, if nothing has changed since.
    Sent(Peer, u64),
    /// The receiver's line has taken the piece: the next one can be sent.
    Taken(UploadId),
    /// A piece has come from a source.
    Came(Peer, Peer, UploadId, PieceIndex),
    /// Those who follow a peer learn what it has gained.
    Told(Peer),
}

/// What is to happen, in order of time; in order of their making at the same time.
#[derive(Default)]
pub(crate) struct Clock {
    now: Time,
    made: u64,
    heap: BinaryHeap<Reverse<(Time, u64, Event)>>,
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// The same as the planner counts it.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// How many events there were.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    pub(crate) fn at(&mut self, time: Time, event: Event) {
        self.made += 1;
        self.heap.push(Reverse((time.max(self.now), self.made, event)));
    }

    pub(crate) fn after(&mut self, pause: Time, event: Event) {
        self.at(self.now.saturating_add(pause), event);
    }

    /// Goes on to the next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse((time, _, event)) = self.heap.pop()?;
        self.now = time;
        Some(event)
    }
}
