//! All peers, and what happens to them from outside.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use p2pshare_core::{
    content::{ContentId, Layout, PIECE_LEN, PieceSet},
    swarm::Planner,
    transfer::{Spread, UploadSlots},
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    clock::{Clock, Event, Peer, Time, UploadId},
    index::Index,
    link::{Downlink, Uplink},
    outcome::Outcome,
    peer::{Nature, Node, State, Upload},
    scenario::Scenario,
};

/// A download that began so long ago is told to the index.
const SETTLE: Time = 250_000_000;
/// The index takes somebody for online so long after the last sign: his heartbeats come every 30 s, so 60 to 90 s.
const FORGOTTEN: (Time, Time) = (60_000_000_000, 90_000_000_000);
/// Uploads that may wait at a daemon.
const WAITING_UPLOADS: usize = 4096;
/// What has not ended by then never does.
const END: Time = 3_600_000_000_000;

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) layout: Layout,
    pub(crate) content: ContentId,
    pub(crate) clock: Clock,
    pub(crate) nodes: Vec<Node>,
    pub(crate) uploads: HashMap<UploadId, Upload>,
    pub(crate) next_upload: UploadId,
    /// Whose sessions are to look what they do next.
    pub(crate) woken: VecDeque<(Peer, Peer)>,
    pub(crate) index: Index,
    pub(crate) rng: Xoshiro256PlusPlus,
    /// Those of the rush who are there and not done.
    pub(crate) unfinished: u32,
    /// Pieces that came and were not needed any more.
    pub(crate) wasted: u64,
    /// Calls of `Planner::next`, and the real time they took.
    pub(crate) asked: u64,
    pub(crate) planning: Duration,
}

impl World {
    pub(crate) fn run(scenario: Scenario) -> Result<Outcome, Box<dyn std::error::Error>> {
        let began = Instant::now();
        let layout = Layout::new(u64::from(scenario.pieces) * PIECE_LEN)?;
        let mut world = Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(scenario.seed),
            layout,
            content: ContentId::of(b"what all want"),
            clock: Clock::default(),
            nodes: Vec::new(),
            uploads: HashMap::new(),
            next_upload: 0,
            woken: VecDeque::new(),
            index: Index::default(),
            unfinished: 0,
            wasted: 0,
            asked: 0,
            planning: Duration::ZERO,
            scenario,
        };
        world.populate()?;
        while world.unfinished > 0 && world.clock.now() < END {
            let Some(event) = world.clock.next() else {
                break;
            };
            world.happen(event)?;
            world.settle();
        }
        Ok(Outcome::new(&world, began.elapsed()))
    }

    pub(crate) fn node(&self, peer: Peer) -> &Node {
        &self.nodes[peer as usize]
    }

    /// How long anything takes from one to the other.
    pub(crate) fn way(&self, from: Peer, to: Peer) -> Time {
        (self.node(from).latency + self.node(to).latency) / 2
    }

    fn populate(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        for _ in 0..self.scenario.seeds {
            self.add(Nature::Seed, 0)?;
        }
        let liars = (f64::from(self.scenario.peers) * self.scenario.liars).ceil() as u32;
        for number in 0..self.scenario.peers {
            // Spread evenly over the index's circle.
            let lies = u64::from(number) * u64::from(liars) % u64::from(self.scenario.peers)
                < u64::from(liars);
            let rush = self.scenario.rush.as_nanos() as Time;
            let start = self.rng.random_range(0..=rush);
            match lies {
                true => self.add(Nature::Liar, 0)?,
                false => {
                    let peer = self.add(Nature::Downloader, start)?;
                    self.nodes[peer as usize].of_first = true;
                    self.unfinished += 1;
                    peer
                }
            };
        }
        Ok(())
    }

    /// Somebody comes.
    fn add(&mut self, nature: Nature, start: Time) -> Result<Peer, Box<dyn std::error::Error>> {
        let peer = Peer::try_from(self.nodes.len())?;
        let line = match nature {
            Nature::Seed => self.scenario.seed_line,
            _ => self.scenario.lines[self.rng.random_range(0..self.scenario.lines.len())],
        };
        let (nearest, farthest) = self.scenario.latency;
        let latency = self.rng.random_range(nearest * 1_000_000..=farthest * 1_000_000);
        let slots = NonZeroUsize::new(self.scenario.slots).ok_or("no slots")?;
        let held = match nature {
            Nature::Downloader => PieceSet::empty(self.scenario.pieces),
            Nature::Seed | Nature::Liar => PieceSet::full(self.scenario.pieces),
        };
        self.nodes.push(Node {
            user: format!("user{peer}").parse()?,
            nature,
            there: true,
            of_first: false,
            started: start,
            done: None,
            latency,
            held,
            planner: None,
            sessions: Default::default(),
            running: 0,
            searches: 0,
            followers: Vec::new(),
            gained: Vec::new(),
            tells_at: 0,
            up: Uplink::new(self.scenario.scaled(line.up)),
            down: Downlink::new(self.scenario.scaled(line.down)),
            slots: UploadSlots::new(slots, WAITING_UPLOADS),
            spread: Spread::default(),
            waiting: Vec::new(),
            sent: 0,
        });
        if nature != Nature::Downloader {
            self.index.add(peer);
            return Ok(peer);
        }
        self.clock.at(start, Event::Start(peer));
        self.clock.at(start + SETTLE + latency, Event::Listed(peer));
        if self.scenario.churn > 0.0 {
            let share: f64 = self.rng.random_range(f64::EPSILON..1.0);
            let minutes = -share.ln() / self.scenario.churn;
            let stays = (minutes * 60e9) as Time;
            self.clock.at(start.saturating_add(stays), Event::Vanish(peer));
        }
        Ok(peer)
    }

    fn happen(&mut self, event: Event) -> Result<(), Box<dyn std::error::Error>> {
        match event {
            Event::Start(peer) => self.start(peer),
            Event::Listed(peer) => {
                if self.node(peer).there {
                    self.index.add(peer);
                }
            }
            Event::Search(peer) => self.search(peer),
            Event::Vanish(peer) => {
                self.vanish(peer);
                self.add(Nature::Downloader, self.clock.now())?;
            }
            Event::Unlisted(peer) => self.index.remove(peer),
            Event::Opened(peer, source, version) => self.opened(peer, source, version),
            Event::Broken(peer, source, version) => self.broken(peer, source, version),
            Event::Retry(peer, source, version) => self.retry(peer, source, version),
            Event::Ask(peer, source) => self.ask(peer, source),
            Event::Requested(upload) => self.requested(upload),
            Event::Queued(upload) => self.queued(upload),
            Event::Chosen(upload) => self.chosen(upload),
            Event::Begun(upload) => self.begun(upload),
            Event::Dropped(upload) => self.drop_upload(upload),
            Event::Sent(source, version) => self.sent(source, version),
            Event::Taken(upload) => self.taken(upload),
            Event::Came(peer, source, upload, piece) => self.came(peer, source, upload, piece),
            Event::Told(source) => self.told(source),
        }
        Ok(())
    }

    fn start(&mut self, peer: Peer) {
        let (layout, held) = (self.layout, PieceSet::empty(self.scenario.pieces));
        let config = self.scenario.options.planner.clone();
        let seed = self.rng.random();
        let node = &mut self.nodes[peer as usize];
        node.planner = Some(Planner::new(layout, &held, seed, config));
        let answer = node.latency * 2;
        self.clock.after(answer, Event::Search(peer));
    }

    /// Somebody is gone, without a word. Those who are connected to him notice.
    fn vanish(&mut self, peer: Peer) {
        let node = &mut self.nodes[peer as usize];
        node.there = false;
        if node.done.is_none() && node.of_first {
            self.unfinished -= 1;
        }
        node.planner = None;
        let (sessions, followers) =
            (std::mem::take(&mut node.sessions), std::mem::take(&mut node.followers));
        for (source, session) in sessions {
            self.unfollow(peer, source);
            for request in session.current.into_iter().chain(session.upcoming) {
                self.clock.after(self.way(peer, source), Event::Dropped(request.upload));
            }
        }
        for follower in followers {
            if let Some(session) = self.nodes[follower as usize].sessions.get(&peer)
                && session.state == State::Open
            {
                let event = Event::Broken(follower, peer, session.version);
                self.clock.after(self.way(peer, follower), event);
            }
        }
        let forgotten = self.rng.random_range(FORGOTTEN.0..FORGOTTEN.1);
        self.clock.after(forgotten, Event::Unlisted(peer));
    }

    pub(crate) fn unfollow(&mut self, peer: Peer, source: Peer) {
        let followers = &mut self.nodes[source as usize].followers;
        if let Some(at) = followers.iter().position(|other| *other == peer) {
            followers.swap_remove(at);
        }
    }
}
