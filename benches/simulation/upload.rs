//! The side that sends: upload slots and what goes out on the line.

use futures::FutureExt;
use p2pshare_core::{
    content::PieceRun,
    transfer::{Spreading, Turn, UploadSlot},
};

use crate::{
    clock::{Event, Peer, UploadId},
    peer::{Place, Upload},
    world::World,
};

impl World {
    /// A request has come: it gets a slot, or waits for one.
    pub(crate) fn requested(&mut self, id: UploadId) {
        let Some(Upload { source, to, .. }) = self.uploads.get(&id) else {
            return;
        };
        let (source, to) = (*source, *to);
        let asked = self.node(source).slots.acquire(self.node(to).user.clone());
        let Ok(mut asked) = asked else {
            self.drop_upload(id);
            let version = self.nodes[to as usize].sessions.get(&source).map_or(0, |it| it.version);
            let event = Event::Broken(to, source, version);
            return self.clock.after(self.way(source, to), event);
        };
        let spreading = self.node(source).spread.begin(self.content);
        if let Some(upload) = self.uploads.get_mut(&id) {
            upload.spreading = Some(spreading);
        }
        match asked.next().now_or_never() {
            Some(Ok(Turn::Granted(slot))) => self.grant(id, slot),
            _ => {
                self.nodes[source as usize].waiting.push(id);
                self.clock.after(self.way(source, to), Event::Queued(id));
                if let Some(upload) = self.uploads.get_mut(&id) {
                    upload.place = Place::Waiting(asked);
                }
            }
        }
    }

    /// An upload has its slot: what it sends is chosen now.
    fn grant(&mut self, id: UploadId, slot: UploadSlot) {
        let Some(upload) = self.uploads.get_mut(&id) else {
            return;
        };
        upload.place = Place::Granted { _slot: slot };
        if let Some(spreading) = &mut upload.spreading {
            let chosen = spreading.choose(&upload.runs, &upload.others);
            upload.pieces = chosen.iter().flat_map(PieceRun::iter).collect();
        }
        if !upload.others.is_empty() {
            let (source, to) = (upload.source, upload.to);
            self.clock.after(self.way(source, to), Event::Chosen(id));
        }
        self.send(id);
    }

    /// Sends the next piece, if it is this upload's turn and its receiver reads it.
    pub(crate) fn send(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.get_mut(&id) else {
            return;
        };
        let (source, to) = (upload.source, upload.to);
        let session = self.nodes[to as usize].sessions.get(&source);
        let is_read = session
            .and_then(|session| session.current.as_ref())
            .is_some_and(|request| request.upload == id);
        let granted = matches!(upload.place, Place::Granted { .. });
        if is_read && granted && !upload.sending && !upload.pieces.is_empty() {
            upload.sending = true;
            self.nodes[source as usize].up.begin(id, self.clock.now());
            self.clock.after(self.way(source, to), Event::Begun(id));
            self.expect_sent(source);
        }
    }

    /// A source's line is through with a piece.
    pub(crate) fn sent(&mut self, source: Peer, version: u64) {
        let now = self.clock.now();
        let node = &mut self.nodes[source as usize];
        if node.up.version != version || !node.there {
            return;
        }
        let Some(id) = node.up.end(now) else {
            return;
        };
        node.sent += 1;
        self.expect_sent(source);
        let Some(upload) = self.uploads.get_mut(&id) else {
            return;
        };
        let (to, piece) = (upload.to, upload.pieces.pop_front());
        upload.spreading.iter_mut().for_each(Spreading::gave_piece);
        let taken = self.nodes[to as usize].down.take(now);
        self.clock.at(taken, Event::Taken(id));
        if let Some(piece) = piece {
            self.clock.at(taken + self.way(source, to), Event::Came(to, source, id, piece));
        }
    }

    /// The receiver can take another piece.
    pub(crate) fn taken(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.get_mut(&id) else {
            return;
        };
        upload.sending = false;
        if upload.pieces.is_empty() {
            return self.drop_upload(id);
        }
        self.send(id);
    }

    /// Ends an upload and gives its slot to the next.
    pub(crate) fn drop_upload(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.remove(&id) else {
            return;
        };
        let source = upload.source;
        if upload.sending {
            self.nodes[source as usize].up.stop(id, self.clock.now());
            self.expect_sent(source);
        }
        let granted = matches!(upload.place, Place::Granted { .. });
        if matches!(upload.place, Place::Waiting(_)) {
            self.nodes[source as usize].waiting.retain(|other| *other != id);
        }
        drop(upload);
        if granted {
            self.grant_next(source);
        }
    }

    /// Finds the upload that has got the slot that became free.
    fn grant_next(&mut self, source: Peer) {
        let waiting = &self.nodes[source as usize].waiting;
        let granted = waiting.iter().enumerate().find_map(|(at, id)| {
            let upload = self.uploads.get_mut(id)?;
            let Place::Waiting(asked) = &mut upload.place else {
                return None;
            };
            // News of the place in the queue are passed over.
            while let Some(Ok(turn)) = asked.next().now_or_never() {
                if let Turn::Granted(slot) = turn {
                    return Some((at, *id, slot));
                }
            }
            None
        });
        if let Some((at, id, slot)) = granted {
            self.nodes[source as usize].waiting.remove(at);
            self.grant(id, slot);
        }
    }

    fn expect_sent(&mut self, source: Peer) {
        let up = &self.nodes[source as usize].up;
        if let Some(time) = up.next() {
            self.clock.at(time, Event::Sent(source, up.version));
        }
    }
}
