//! A model of the planner that is slow and obvious, and a small world of sources that drives both.

mod actor;
mod choice;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use p2pshare_core::{
    content::{Layout, PIECE_LEN, PieceIndex, PieceRun, PieceSet},
    swarm::{Assignment, Failure, Next, Planner, PlannerConfig, SourceId},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

pub(crate) use self::actor::{Actor, Nature};

/// Length of a step of the world in seconds.
const STEP: f64 = 0.1;

/// A world that has not ended by then never will.
const LAST_STEP: u32 = 200_000;

/// How long nothing may come before a source counts as failed.
const STALL_STEPS: u32 = 50;

pub(crate) struct World {
    planner: Planner,
    pieces: u32,
    rng: StdRng,
    actors: Vec<Actor>,
    verified: BTreeSet<u32>,
    /// Who fetches each assigned piece.
    holders: BTreeMap<u32, BTreeSet<usize>>,
    /// Who has a piece that it took from another, and since when. Once a piece is free again, or comes from somebody who
    /// was asked for it in another way, it is as if it had never been stolen.
    thefts: BTreeMap<(u32, usize), Duration>,
    now: Duration,
    copies: usize,
    max_run: u32,
}

impl World {
    pub(crate) fn new(pieces: u32, held: f64, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let verified: BTreeSet<u32> = (0..pieces).filter(|_| rng.random_bool(held)).collect();
        let mut set = PieceSet::empty(pieces);
        for piece in &verified {
            set.insert(PieceIndex(*piece));
        }
        let config = PlannerConfig::default();
        Self {
            copies: config.max_copies,
            max_run: config.max_run,
            planner: Planner::new(layout(pieces), &set, seed, config),
            pieces,
            rng,
            actors: Vec::new(),
            verified,
            holders: BTreeMap::new(),
            thefts: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    pub(crate) fn add(&mut self, actor: Actor) {
        self.actors.push(actor);
    }

    pub(crate) fn run_to_the_end(&mut self) {
        for step in 0..LAST_STEP {
            self.now = Duration::from_secs_f64(f64::from(step) * STEP);
            for who in 0..self.actors.len() {
                self.come_and_go(who);
                self.gain(who);
                self.choose(who);
                self.deliver(who);
            }
            // Who is robbed asks again at once, so stealing must come to an end within one moment.
            for round in 0.. {
                let asked = (0..self.actors.len()).filter(|who| self.ask(*who)).count();
                if asked == 0 {
                    break;
                }
                assert!(round < 1000, "no end of assignments in one moment");
            }
            if step % 16 == 0 {
                self.compare();
            }
            if self.verified.len() as u32 == self.pieces {
                self.compare();
                assert!(self.planner.is_done());
                return;
            }
        }
        panic!("not complete: {:?}, {:?}", self.planner.progress(), self.actors);
    }

    fn come_and_go(&mut self, who: usize) {
        let time = self.now.as_secs_f64();
        let actor = &mut self.actors[who];
        if !actor.joined && time >= actor.joins_at {
            actor.joined = true;
            for piece in 0..self.pieces {
                if self.rng.random_bool(actor.share) {
                    actor.holds.insert(piece);
                }
            }
            let mut have = PieceSet::empty(self.pieces);
            for piece in &actor.holds {
                have.insert(PieceIndex(*piece));
            }
            assert!(self.planner.join(id(who), &have, self.now));
        }
        if actor.is_there() && time >= actor.joins_at + actor.stays {
            actor.gone = true;
            self.planner.leave(id(who), self.now);
            self.release(who);
        }
    }

    fn gain(&mut self, who: usize) {
        let actor = &mut self.actors[who];
        if actor.is_there() && self.rng.random_bool(actor.gains) {
            let piece = self.rng.random_range(0..self.pieces);
            actor.holds.insert(piece);
            self.planner.gained(id(who), &[PieceRun::new(PieceIndex(piece), 1)]);
        }
    }

    /// True when it was given something.
    fn ask(&mut self, who: usize) -> bool {
        let actor = &self.actors[who];
        if !actor.is_there() || actor.orders.len() > 2 || self.now < actor.ask_at {
            return false;
        }
        match self.planner.next(id(who), self.now) {
            Next::Fetch(assignment) => {
                self.take(who, &assignment);
                return true;
            }
            Next::Wait { until } => {
                assert!(until > self.now, "a wait that is over");
                if self.planner.failures(id(who)) == 0 {
                    assert!(self.free_for(who).is_empty(), "waits while pieces are free");
                }
                self.actors[who].ask_at = until;
            }
            Next::Done => assert_eq!(self.verified.len() as u32, self.pieces),
            Next::Gone => panic!("a source that has joined is gone"),
        }
        false
    }

    /// The heart of the model: what an assignment may be.
    fn take(&mut self, who: usize, assignment: &Assignment) {
        let pieces: Vec<u32> = all(&assignment.runs);
        assert!(!pieces.is_empty() && pieces.len() as u32 <= self.max_run);
        let others = all(&assignment.others);
        for piece in &others {
            assert!(self.is_free(*piece) && !pieces.contains(piece), "left what is not free");
            assert!(self.actors[who].holds.contains(piece), "left what it has not");
        }
        if self.actors[who].nature == Nature::Chooses && !others.is_empty() {
            let named = pieces.iter().copied().chain(others).collect();
            self.actors[who].choices.push_back((pieces.clone(), named));
        }
        let stolen: BTreeMap<u32, usize> = assignment
            .steals
            .iter()
            .flat_map(|(from, run)| all(&[*run]).into_iter().map(|piece| (piece, index(*from))))
            .collect();
        assert!(stolen.keys().all(|piece| pieces.contains(piece)));
        let free_anywhere = (0..self.pieces).any(|piece| self.is_free(piece));
        let nothing_free_here = self.free_for(who).is_empty();
        let rarities: Vec<usize> = pieces.iter().map(|piece| self.rarity(*piece)).collect();
        let mut took_free = false;
        for piece in &pieces {
            assert!(self.actors[who].holds.contains(piece), "asked for what it has not");
            assert!(!self.verified.contains(piece), "asked for what is verified");
            let holders = self.holders.entry(*piece).or_default();
            if let Some(victim) = stolen.get(piece) {
                assert_eq!(holders.iter().collect::<Vec<_>>(), [victim], "stolen from another");
                assert_ne!(*victim, who);
                holders.clear();
                steal(&mut self.thefts, *piece, *victim, who, self.now);
                self.actors[*victim].ask_at = Duration::ZERO;
                let front = self.actors[*victim].orders.front();
                assert_ne!(front, Some(piece), "the piece that it was at");
                self.actors[*victim].loses(*piece);
            } else if holders.is_empty() {
                took_free = true;
            } else if holders.iter().all(|holder| self.actors[*holder].waiting) {
                assert!(nothing_free_here, "a copy while it has free pieces");
                assert!(!holders.contains(&who) && holders.len() < self.copies);
            } else {
                assert!(!free_anywhere, "a copy while pieces are free");
                assert!(!holders.contains(&who) && holders.len() < self.copies);
                assert!(self.actors[who].orders.is_empty(), "a copy while it has work");
            }
            holders.insert(who);
            self.actors[who].orders.push_back(*piece);
        }
        if took_free {
            let left = self.free_for(who);
            let rarest_left = left.iter().map(|piece| self.rarity(*piece)).min();
            let most = rarities.iter().max().unwrap();
            assert!(rarest_left.is_none_or(|least| *most <= least), "a rarer piece was left");
            assert!(rarities.is_sorted(), "not the rarest first: {rarities:?}");
        }
    }

    fn deliver(&mut self, who: usize) {
        let actor = &mut self.actors[who];
        if !actor.is_there() || actor.orders.is_empty() {
            return;
        }
        if actor.nature == Nature::Queues && self.rng.random_bool(0.5) {
            self.planner.queued(id(who), self.now);
            actor.waiting = true;
            return;
        }
        match actor.nature {
            Nature::Stalls => actor.silent += 1,
            _ => actor.bytes += actor.speed * STEP * PIECE_LEN as f64,
        }
        if actor.nature == Nature::DeniesPieces && self.rng.random_bool(0.5) {
            let piece = actor.orders[0];
            actor.holds.remove(&piece);
            return self.fail(who, Failure::NotHeld(PieceIndex(piece)));
        }
        let broken = actor.nature == Nature::Flaky && self.rng.random_bool(0.2);
        if broken || actor.silent >= STALL_STEPS {
            return self.fail(who, Failure::Passing);
        }
        let bytes = actor.bytes;
        if bytes > 0.0 {
            let come = actor.speed * STEP * PIECE_LEN as f64;
            let losers = self.planner.received(id(who), come as u64, self.now);
            self.actors[who].waiting = false;
            let piece = self.actors[who].orders[0];
            let waits = |other: &usize| *other != who && self.actors[*other].waiting;
            let expected: Vec<usize> = self.holders[&piece].iter().copied().filter(waits).collect();
            let losers: BTreeSet<usize> = losers.into_iter().map(index).collect();
            assert!(losers.iter().eq(&expected), "{losers:?} lose what {expected:?} wait for");
            for loser in losers {
                self.actors[loser].loses(piece);
                self.actors[loser].ask_at = Duration::ZERO;
                self.holders.entry(piece).or_default().remove(&loser);
            }
            self.forget_thefts();
        }
        while self.actors[who].bytes >= PIECE_LEN as f64 {
            let actor = &mut self.actors[who];
            let Some(piece) = actor.orders.pop_front() else {
                break;
            };
            actor.bytes -= PIECE_LEN as f64;
            if actor.nature == Nature::Liar {
                actor.gone = true;
                self.planner.lied(id(who), "wrong bytes", self.now);
                return self.release(who);
            }
            self.verify(who, piece);
        }
        if self.actors[who].orders.is_empty() {
            self.actors[who].bytes = 0.0;
        }
    }

    fn verify(&mut self, who: usize, piece: u32) {
        let answer = self.planner.piece_verified(id(who), PieceIndex(piece), self.now);
        let holders = self.holders.remove(&piece).unwrap_or_default();
        assert_eq!(answer.new, self.verified.insert(piece));
        let told: BTreeSet<usize> = answer.others.iter().copied().map(index).collect();
        let others: BTreeSet<usize> = holders.into_iter().filter(|other| *other != who).collect();
        assert_eq!(told, others);
        for other in others {
            let orders = &self.actors[other].orders;
            if orders.front() == Some(&piece) {
                let bytes = std::mem::take(&mut self.actors[other].bytes);
                self.planner.discarded(id(other), bytes as u64);
            }
            self.actors[other].loses(piece);
        }
        self.forget_thefts();
    }

    fn fail(&mut self, who: usize, failure: Failure) {
        self.actors[who].ask_at = self.planner.failed(id(who), failure, self.now);
        self.release(who);
    }

    fn release(&mut self, who: usize) {
        let actor = &mut self.actors[who];
        actor.orders.clear();
        actor.waiting = false;
        actor.choices.clear();
        actor.bytes = 0.0;
        actor.silent = 0;
        for holders in self.holders.values_mut() {
            holders.remove(&who);
        }
        self.holders.retain(|_, holders| !holders.is_empty());
        self.forget_thefts();
    }

    /// Drops what is known of thefts by those who do not have the piece any more.
    fn forget_thefts(&mut self) {
        let holders = &self.holders;
        self.thefts
            .retain(|(piece, who), _| holders.get(piece).is_some_and(|all| all.contains(who)));
    }

    fn compare(&self) {
        self.planner.check_invariant().unwrap();
        let progress = self.planner.progress();
        assert_eq!(progress.verified as usize, self.verified.len());
        assert_eq!(progress.assigned as usize, self.holders.len());
        for (piece, holders) in &self.holders {
            for who in 0..self.actors.len() {
                let told = self.planner.is_assigned(id(who), PieceIndex(*piece));
                assert_eq!(told, holders.contains(&who));
            }
        }
    }

    fn free_for(&self, who: usize) -> Vec<u32> {
        let holds = self.actors[who].holds.iter().copied();
        holds.filter(|piece| self.is_free(*piece)).collect()
    }

    fn is_free(&self, piece: u32) -> bool {
        let assigned = self.holders.get(&piece).is_some_and(|holders| !holders.is_empty());
        !assigned && !self.verified.contains(&piece)
    }

    fn rarity(&self, piece: u32) -> usize {
        let there = self.actors.iter().filter(|actor| actor.is_there());
        there.filter(|actor| actor.holds.contains(&piece)).count()
    }
}

/// Nobody is robbed of what he has just stolen himself.
fn steal(
    thefts: &mut BTreeMap<(u32, usize), Duration>,
    piece: u32,
    from: usize,
    who: usize,
    now: Duration,
) {
    let before = thefts.remove(&(piece, from));
    let pause = PlannerConfig::default().recheck;
    assert!(before.is_none_or(|before| now - before >= pause), "stolen again");
    thefts.insert((piece, who), now);
}

fn all(runs: &[PieceRun]) -> Vec<u32> {
    runs.iter().flat_map(PieceRun::iter).map(|piece| piece.0).collect()
}

fn layout(pieces: u32) -> Layout {
    Layout::new(u64::from(pieces) * PIECE_LEN).unwrap()
}

fn id(who: usize) -> SourceId {
    SourceId::from_bytes([u8::try_from(who).unwrap(); 32])
}

fn index(id: SourceId) -> usize {
    usize::from(id.as_bytes()[0])
}
