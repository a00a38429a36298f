//! A downloader's sources: found, started, broken, tried again, as the real coordinator does it.

use std::time::Duration;

use p2pshare_core::{content::PieceSet, swarm::Failure};

use crate::{
    clock::{Event, Peer, Time},
    peer::{State, id},
    world::World,
};

/// While nobody delivers, sources are looked for at least so often.
const ANXIOUS_REFRESH: Duration = Duration::from_secs(3);
const MAX_DOUBLINGS: u32 = 5;

impl World {
    /// The index answers.
    pub(crate) fn search(&mut self, peer: Peer) {
        if self.node(peer).planner.is_none() {
            return;
        }
        let found = self.index.sources(peer, &mut self.rng);
        let options = &self.scenario.options;
        let node = &mut self.nodes[peer as usize];
        node.sessions.values_mut().for_each(|session| session.listed = false);
        for source in found {
            node.sessions.entry(source).or_default().listed = true;
        }
        let refresh = options.first_refresh * (1 << node.searches.min(20));
        let busy = node.sessions.values().any(|session| session.current.is_some());
        let most = if busy { options.refresh } else { ANXIOUS_REFRESH };
        node.searches += 1;
        // There and back, and the pause between.
        let pause = refresh.min(most).as_nanos() as Time + node.latency * 2;
        self.clock.after(pause, Event::Search(peer));
        self.start_sessions(peer);
    }

    /// Starts sources while there is room: new ones first, then those that have rested.
    pub(crate) fn start_sessions(&mut self, peer: Peer) {
        let now = self.clock.now();
        let node = &mut self.nodes[peer as usize];
        let most = self.scenario.options.max_sources;
        let mut chosen = Vec::new();
        for again in [false, true] {
            for (source, session) in node.sessions.iter_mut().filter(|(_, it)| it.listed) {
                let due = match session.state {
                    State::New => !again,
                    State::Resting(until) => again && until <= now,
                    _ => false,
                };
                if due && node.running < most {
                    node.running += 1;
                    chosen.push(*source);
                }
            }
        }
        let nothing = PieceSet::empty(self.scenario.pieces);
        for source in chosen {
            if let Some(planner) = &mut self.nodes[peer as usize].planner {
                planner.join(id(source), &nothing, self.clock.elapsed());
            }
            self.open(peer, source);
        }
    }

    /// Connects (a way there and back, twice) and asks what the source has.
    fn open(&mut self, peer: Peer, source: Peer) {
        let pause = self.way(peer, source) * 6;
        if let Some(session) = self.nodes[peer as usize].sessions.get_mut(&source) {
            session.state = State::Opening;
            session.version += 1;
            let event = Event::Opened(peer, source, session.version);
            self.clock.after(pause, event);
        }
    }

    pub(crate) fn opened(&mut self, peer: Peer, source: Peer, version: u32) {
        if !self.is_now(peer, source, version) {
            return;
        }
        if !self.node(source).there {
            return self.fail(peer, source);
        }
        let now = self.clock.elapsed();
        let [node, other] = self
            .nodes
            .get_disjoint_mut([peer as usize, source as usize])
            .expect("nobody is his own source");
        if let (Some(planner), Some(session)) = (&mut node.planner, node.sessions.get_mut(&source))
        {
            planner.join(id(source), &other.held, now);
            session.state = State::Open;
            other.followers.push(peer);
            self.wake_all(peer);
        }
    }

    pub(crate) fn broken(&mut self, peer: Peer, source: Peer, version: u32) {
        if self.is_now(peer, source, version) {
            self.fail(peer, source);
        }
    }

    pub(crate) fn retry(&mut self, peer: Peer, source: Peer, version: u32) {
        if !self.is_now(peer, source, version) {
            return;
        }
        match self.node(peer).sessions.get(&source).map(|session| session.state) {
            Some(State::Pausing) => self.open(peer, source),
            Some(State::Resting(_)) => self.start_sessions(peer),
            _ => {}
        }
    }

    /// Nothing has happened to a session since, and the download goes on.
    fn is_now(&self, peer: Peer, source: Peer, version: u32) -> bool {
        let node = self.node(peer);
        let session = node.sessions.get(&source);
        node.planner.is_some() && session.is_some_and(|session| session.version == version)
    }

    /// A source has failed: it is tried again in a moment, or rests for a while.
    fn fail(&mut self, peer: Peer, source: Peer) {
        let now = self.clock.elapsed();
        self.end_session(peer, source);
        let node = &mut self.nodes[peer as usize];
        let (Some(planner), Some(session)) = (&mut node.planner, node.sessions.get_mut(&source))
        else {
            return;
        };
        let options = &self.scenario.options;
        let mut retry_at = planner.failed(id(source), Failure::Passing, now);
        session.state = State::Pausing;
        if planner.failures(id(source)) >= options.max_failures {
            planner.leave(id(source), now);
            retry_at = now + options.rest * (1 << session.rests.min(MAX_DOUBLINGS));
            session.rests += 1;
            session.state = State::Resting(retry_at.as_nanos() as Time);
            node.running -= 1;
        }
        let event = Event::Retry(peer, source, session.version);
        self.clock.at(retry_at.as_nanos() as Time, event);
        self.wake_all(peer);
        self.start_sessions(peer);
    }

    /// A source has lied: it is never asked again.
    pub(crate) fn strike(&mut self, peer: Peer, source: Peer) {
        self.end_session(peer, source);
        let now = self.clock.elapsed();
        let node = &mut self.nodes[peer as usize];
        if let (Some(planner), Some(session)) = (&mut node.planner, node.sessions.get_mut(&source))
        {
            planner.lied(id(source), "wrong bytes", now);
            session.state = State::StruckOff;
            node.running -= 1;
        }
        self.wake_all(peer);
        self.start_sessions(peer);
    }

    /// Hangs up: requests are given up, and what the source gains is not heard of any more.
    pub(crate) fn end_session(&mut self, peer: Peer, source: Peer) {
        self.unfollow(peer, source);
        let Some(session) = self.nodes[peer as usize].sessions.get_mut(&source) else {
            return;
        };
        session.version += 1;
        session.ask_at = None;
        let requests = [session.current.take(), session.upcoming.take()];
        for request in requests.into_iter().flatten() {
            self.clock.after(self.way(peer, source), Event::Dropped(request.upload));
        }
    }
}
