//! Who waits for a slot, in which order.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::running::{ReservedSlots, Running};
use crate::identity::Username;

/// Of so many requests each is told its new place at once; of more, which one user could have wake all the others by each
/// that he adds or takes back, only from time to time.
const FEW: usize = 64;

/// How often they are told then.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(1);

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// So many are before it, 1 or more.
    Waiting(u32),
    Granted,
    Evicted,
}

/// The slots taken and the requests that wait. Whenever a request waits, all slots that its user may have are taken.
#[derive(Debug)]
pub(super) struct Queue {
    running: Running,
    max_waiting: usize,
    waiting: usize,
    next_id: u64,
    /// Users who wait, in the order of their turns; each has a request.
    ring: VecDeque<Waiter>,
    /// When places were told last, unless that was never; and whether they have changed since.
    told: Option<Instant>,
    stale: bool,
}

#[derive(Debug)]
struct Waiter {
    user: Username,
    requests: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    id: u64,
    place: watch::Sender<Place>,
}

impl Queue {
    pub(super) fn new(slots: usize, max_waiting: usize) -> Self {
        Self {
            running: Running::new(slots),
            max_waiting,
            waiting: 0,
            next_id: 0,
            ring: VecDeque::new(),
            told: None,
            stale: false,
        }
    }

    /// Adds a request and gives its number and place, `None` when it is refused.
    pub(super) fn join(&mut self, user: &Username) -> Option<(u64, watch::Receiver<Place>)> {
        let id = self.next_id;
        self.next_id += 1;
        if self.running.has_room(user) {
            self.running.take(id, user);
            let (_, receiver) = watch::channel(Place::Granted);
            return Some((id, receiver));
        }
        if self.waiting >= self.max_waiting && !self.make_room(user) {
            return None;
        }
        let at = self.ring.iter().position(|waiter| waiter.user == *user);
        let at = at.unwrap_or_else(|| {
            self.ring.push_back(Waiter { user: user.clone(), requests: VecDeque::new() });
            self.ring.len() - 1
        });
        let (place, receiver) = watch::channel(Place::Waiting(self.next_place(at)));
        if let Some(waiter) = self.ring.get_mut(at) {
            waiter.requests.push_back(Request { id, place });
        }
        self.waiting += 1;
        self.tell();
        Some((id, receiver))
    }

    /// Takes out a request that waits.
    pub(super) fn leave(&mut self, user: &Username, id: u64) {
        let Some(waiter) = self.ring.iter_mut().find(|waiter| waiter.user == *user) else {
            return;
        };
        let before = waiter.requests.len();
        waiter.requests.retain(|request| request.id != id);
        self.waiting -= before - waiter.requests.len();
        self.ring.retain(|waiter| !waiter.requests.is_empty());
        self.tell();
    }

    /// Frees the slot of a request and gives it to the next: to the one in the ring who has the fewest slots, the first of
    /// several. So who asks ahead while his upload runs takes no second slot from somebody who has none.
    pub(super) fn release(&mut self, id: u64) {
        self.running.free(id);
        self.fill();
    }

    /// From now on so many may run at a time, besides what is reserved. Those that run go on.
    pub(super) fn resize(&mut self, slots: usize) {
        self.running.resize(slots);
        self.fill();
    }

    /// From now on these slots are reserved. Those that run go on.
    pub(super) fn reserve(&mut self, reserved: Vec<ReservedSlots>) {
        self.running.reserve(reserved);
        self.fill();
    }

    /// A user has waited long enough without any slot: somebody who has several gives one back.
    pub(super) fn hurry(&self, user: &Username) {
        let waiting = self.ring.iter().filter(|waiter| self.running.of(&waiter.user) == 0);
        self.running.revoke_for(user, waiting.count());
    }

    /// What tells the holder of a slot that it is taken back.
    pub(super) fn revoked(&self, id: u64) -> CancellationToken {
        self.running.revoked(id)
    }

    /// Gives the slots that are free to those who wait.
    fn fill(&mut self) {
        while self.grant_next() {}
        self.tell();
    }

    /// Gives a slot to the next; `false` if nobody waits who may have one that is free.
    fn grant_next(&mut self) -> bool {
        let waiters = self.ring.iter().enumerate();
        let ready = waiters.filter(|(_, waiter)| self.running.has_room(&waiter.user));
        let next = ready.min_by_key(|(_, waiter)| self.running.of(&waiter.user));
        let Some(mut waiter) = next.map(|(at, _)| at).and_then(|at| self.ring.remove(at)) else {
            return false;
        };
        if let Some(request) = waiter.requests.pop_front() {
            self.waiting -= 1;
            self.running.take(request.id, &waiter.user);
            request.place.send_replace(Place::Granted);
        }
        if !waiter.requests.is_empty() {
            self.ring.push_back(waiter);
        }
        true
    }

    /// How many run and how many wait.
    pub(super) fn usage(&self) -> (usize, usize) {
        (self.running.len(), self.waiting)
    }

    /// How many may run at a time.
    pub(super) fn capacity(&self) -> usize {
        self.running.capacity()
    }

    /// Evicts the last request of the user who has the most, if the newcomer will have fewer than he.
    fn make_room(&mut self, newcomer: &Username) -> bool {
        let own = self.ring.iter().find(|waiter| waiter.user == *newcomer);
        let own = own.map_or(0, |waiter| waiter.requests.len());
        let greediest = self.ring.iter_mut().max_by_key(|waiter| waiter.requests.len());
        let Some(greediest) = greediest.filter(|waiter| waiter.requests.len() > own + 1) else {
            return false;
        };
        if let Some(request) = greediest.requests.pop_back() {
            self.waiting -= 1;
            request.place.send_replace(Place::Evicted);
        }
        true
    }

    /// The place of the next request of the one who is there in the ring.
    fn next_place(&self, at: usize) -> u32 {
        let round = self.ring.get(at).map_or(0, |waiter| waiter.requests.len());
        // Those of the rounds before, and in its own those of whoever is before it.
        let before = |(index, waiter): (usize, &Waiter)| {
            waiter.requests.len().min(if index < at { round + 1 } else { round })
        };
        let before: usize = self.ring.iter().enumerate().map(before).sum();
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }

    fn tell(&mut self) {
        self.stale = true;
        if self.waiting <= FEW {
            self.tell_places();
        } else {
            self.tell_stale();
        }
    }

    /// Tells places that have changed, unless some were told a moment ago.
    pub(super) fn tell_stale(&mut self) {
        if self.stale && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.tell_places();
        }
    }

    /// Tells each request that waits how many are before it, if that has changed: one that runs must end, and those
    /// of the rounds before, and those before it in its own round. An estimate: who has slots already is passed over.
    fn tell_places(&mut self) {
        (self.told, self.stale) = (Some(Instant::now()), false);
        let mut position = 0;
        let mut waiters: Vec<_> = self.ring.iter().map(|waiter| waiter.requests.iter()).collect();
        while !waiters.is_empty() {
            waiters.retain_mut(|requests| {
                let Some(request) = requests.next() else { return false };
                position += 1;
                let place = Place::Waiting(position);
                request.place.send_if_modified(|told| {
                    let changed = *told != place;
                    *told = place;
                    changed
                });
                true
            });
        }
    }
}
