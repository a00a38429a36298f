//! A downloader's work with one source, as the real session does it: a request that is read, another one sent ahead.

use std::time::Instant;

use p2pshare_core::{
    content::{PieceIndex, PieceRun},
    swarm::{Assignment, Next},
};

use crate::{
    clock::{Event, Peer, Time, UploadId},
    peer::{Nature, Place, Request, State, Upload, id, peer as peer_of},
    world::World,
};

/// A peer tells what it gains no more often.
const PACE: Time = 25_000_000;

impl World {
    /// Lets all sessions do something who have a reason to.
    pub(crate) fn settle(&mut self) {
        while let Some((peer, source)) = self.woken.pop_front() {
            if let Some(session) = self.nodes[peer as usize].sessions.get_mut(&source) {
                session.woken = false;
                self.give_up_lost(peer, source);
                self.top_up(peer, source);
            }
        }
    }

    /// It is time to ask the planner again, unless that was done meanwhile.
    pub(crate) fn ask(&mut self, peer: Peer, source: Peer) {
        let session = self.node(peer).sessions.get(&source);
        if session.is_some_and(|session| session.ask_at == Some(self.clock.now())) {
            self.wake(peer, source);
        }
    }

    /// A session's orders have changed, or it may ask for more.
    pub(crate) fn wake(&mut self, peer: Peer, source: Peer) {
        let node = &mut self.nodes[peer as usize];
        if let Some(session) = node.sessions.get_mut(&source)
            && session.state == State::Open
        {
            session.ask_at = None;
            if !session.woken {
                session.woken = true;
                self.woken.push_back((peer, source));
            }
        }
    }

    pub(crate) fn wake_all(&mut self, peer: Peer) {
        let sources: Vec<_> = self.node(peer).sessions.keys().copied().collect();
        sources.into_iter().for_each(|source| self.wake(peer, source));
    }

    /// Makes sure that there is a request, and another one behind it before it ends.
    fn top_up(&mut self, peer: Peer, source: Peer) {
        let now = self.clock.elapsed();
        loop {
            let node = &mut self.nodes[peer as usize];
            let (Some(planner), Some(session)) =
                (&mut node.planner, node.sessions.get_mut(&source))
            else {
                return;
            };
            if session.state != State::Open
                || session.current.is_some() && session.upcoming.is_some()
            {
                return;
            }
            if session.current.is_none() && session.upcoming.is_some() {
                session.current = session.upcoming.take();
                self.begin_reading(peer, source);
                continue;
            }
            let busy = session.current.as_ref().is_some_and(|request| !request.is_half_done());
            if busy || session.ask_at.is_some() {
                return;
            }
            let began = Instant::now();
            let next = planner.next(id(source), now);
            self.planning += began.elapsed();
            self.asked += 1;
            match next {
                Next::Fetch(assignment) => self.request(peer, source, &assignment),
                Next::Wait { until } => {
                    let until = until.as_nanos() as Time;
                    session.ask_at = Some(until);
                    return self.clock.at(until, Event::Ask(peer, source));
                }
                Next::Done | Next::Gone => return,
            }
        }
    }

    fn request(&mut self, peer: Peer, source: Peer, assignment: &Assignment) {
        let pieces: std::collections::VecDeque<_> =
            assignment.runs.iter().flat_map(PieceRun::iter).collect();
        let upload = self.next_upload;
        self.next_upload += 1;
        let Assignment { runs, others, .. } = assignment.clone();
        let sent = Upload {
            source,
            to: peer,
            runs,
            others,
            pieces: Default::default(),
            spreading: None,
            place: Place::Travelling,
            sending: false,
        };
        self.uploads.insert(upload, sent);
        if let Some(session) = self.nodes[peer as usize].sessions.get_mut(&source) {
            let asked = pieces.iter().copied().collect();
            session.upcoming = Some(Request { upload, pieces, asked });
        }
        self.clock.after(self.way(peer, source), Event::Requested(upload));
        for (victim, _) in &assignment.steals {
            self.wake(peer, peer_of(*victim));
        }
    }

    /// The request that was sent ahead is read now.
    fn begin_reading(&mut self, peer: Peer, source: Peer) {
        let session = self.nodes[peer as usize].sessions.get(&source);
        let Some(id) = session.and_then(|it| it.current.as_ref()).map(|it| it.upload) else {
            return;
        };
        if self.uploads.get(&id).is_some_and(|it| matches!(it.place, Place::Waiting(_))) {
            self.queued(id);
        }
        self.send(id);
    }

    /// The source has said that the request waits.
    pub(crate) fn queued(&mut self, upload: UploadId) {
        let Some(Upload { source, to, place: Place::Waiting(_), .. }) = self.uploads.get(&upload)
        else {
            return;
        };
        let now = self.clock.elapsed();
        let node = &mut self.nodes[*to as usize];
        let session = node.sessions.get(source);
        let current = session.and_then(|session| session.current.as_ref());
        if current.is_some_and(|request| request.upload == upload)
            && let Some(planner) = &mut node.planner
        {
            planner.queued(id(*source), now);
        }
    }

    /// A source has told what it gives.
    pub(crate) fn chosen(&mut self, upload: UploadId) {
        let Some(Upload { source, to, pieces, .. }) = self.uploads.get(&upload) else {
            return;
        };
        let (peer, source, chosen) = (*to, *source, pieces.clone());
        let now = self.clock.elapsed();
        let node = &mut self.nodes[peer as usize];
        let (Some(planner), Some(session)) = (&mut node.planner, node.sessions.get_mut(&source))
        else {
            return;
        };
        let mut requests = session.current.iter_mut().chain(&mut session.upcoming);
        let Some(request) = requests.find(|request| request.upload == upload) else {
            return;
        };
        let pieces: Vec<_> = chosen.iter().copied().collect();
        let result = planner.chosen(id(source), &request.asked, &pieces, now);
        request.asked = pieces;
        request.pieces = chosen;
        if result.freed {
            return self.wake_all(peer);
        }
        for victim in result.victims {
            self.wake(peer, peer_of(victim));
        }
        self.wake(peer, source);
    }

    /// The first bytes of a piece come.
    pub(crate) fn begun(&mut self, upload: UploadId) {
        let Some(Upload { source, to, .. }) = self.uploads.get(&upload) else {
            return;
        };
        let (peer, source, now) = (*to, *source, self.clock.elapsed());
        let node = &mut self.nodes[peer as usize];
        let session = node.sessions.get(&source);
        let current = session.and_then(|session| session.current.as_ref());
        if current.is_some_and(|request| request.upload == upload)
            && let Some(planner) = &mut node.planner
        {
            for loser in planner.received(id(source), 0, now) {
                self.wake(peer, peer_of(loser));
            }
        }
    }

    /// Gives up what others were given instead, from the end of the requests.
    fn give_up_lost(&mut self, peer: Peer, source: Peer) {
        let node = &mut self.nodes[peer as usize];
        let (Some(planner), Some(session)) = (&node.planner, node.sessions.get_mut(&source)) else {
            return;
        };
        let lost = |piece: &PieceIndex| !planner.is_assigned(id(source), *piece);
        let mut given_up = Vec::new();
        for place in [&mut session.current, &mut session.upcoming] {
            if let Some(request) = place {
                while request.pieces.back().is_some_and(lost) {
                    request.pieces.pop_back();
                }
                if request.pieces.is_empty() {
                    given_up.push(request.upload);
                    *place = None;
                }
            }
        }
        for upload in given_up {
            self.clock.after(self.way(peer, source), Event::Dropped(upload));
        }
    }

    /// A piece has come whole.
    pub(crate) fn came(&mut self, peer: Peer, source: Peer, upload: UploadId, piece: PieceIndex) {
        let now = self.clock.elapsed();
        let lies = self.node(source).nature == Nature::Liar;
        let node = &mut self.nodes[peer as usize];
        let (Some(planner), Some(session)) = (&mut node.planner, node.sessions.get_mut(&source))
        else {
            self.wasted += 1;
            return;
        };
        let wanted = session
            .current
            .as_mut()
            .filter(|request| request.upload == upload && request.pieces.front() == Some(&piece));
        let Some(request) = wanted else {
            self.wasted += 1;
            return;
        };
        // Who loses it by this was told when it began to come.
        planner.received(id(source), self.layout.piece_len(piece) as u64, now);
        if lies {
            self.wasted += 1;
            return self.strike(peer, source);
        }
        request.pieces.pop_front();
        if request.pieces.is_empty() {
            session.current = None;
            session.ask_at = None;
            // What it sends beyond what is wanted is cut off.
            self.clock.after(self.way(peer, source), Event::Dropped(upload));
        }
        let node = &mut self.nodes[peer as usize];
        let Some(planner) = &mut node.planner else {
            return;
        };
        let verified = planner.piece_verified(id(source), piece, now);
        let done = planner.is_done();
        if verified.new {
            node.held.insert(piece);
            node.gained.push(piece);
            let now = self.clock.now();
            if node.gained.len() == 1 {
                node.tells_at = now.max(node.tells_at + PACE);
                self.clock.at(node.tells_at + node.latency, Event::Told(peer));
            }
        } else {
            self.wasted += 1;
        }
        if done {
            return self.finish(peer);
        }
        for other in verified.others {
            self.wake(peer, peer_of(other));
        }
        self.wake_to_top_up(peer, source);
    }

    /// Those who follow a peer learn what it has gained. (A little early: what it gains while this is on the way is with it.)
    pub(crate) fn told(&mut self, source: Peer) {
        let gained = std::mem::take(&mut self.nodes[source as usize].gained);
        let runs: Vec<PieceRun> = gained.into_iter().map(PieceRun::from).collect();
        let followers = std::mem::take(&mut self.nodes[source as usize].followers);
        for follower in &followers {
            if let Some(planner) = &mut self.nodes[*follower as usize].planner {
                planner.gained(id(source), &runs);
                self.wake(*follower, source);
            }
        }
        self.nodes[source as usize].followers = followers;
    }

    /// All is there: it hangs up, and serves on.
    fn finish(&mut self, peer: Peer) {
        let now = self.clock.now();
        let node = &mut self.nodes[peer as usize];
        node.planner = None;
        node.done = Some(now);
        if node.of_first {
            self.unfinished -= 1;
        }
        let sources: Vec<_> = node.sessions.keys().copied().collect();
        for source in sources {
            self.end_session(peer, source);
        }
        self.nodes[peer as usize].sessions.clear();
    }

    /// Like `wake`, but what the planner had nothing for before is not asked again.
    fn wake_to_top_up(&mut self, peer: Peer, source: Peer) {
        let session = self.nodes[peer as usize].sessions.get_mut(&source);
        if let Some(session) = session.filter(|session| !session.woken) {
            session.woken = true;
            self.woken.push_back((peer, source));
        }
    }
}
