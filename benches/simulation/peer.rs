//! A peer: what it has, what it fetches, what it sends.

use std::collections::{BTreeMap, VecDeque};

use p2pshare_core::{
    content::{PieceIndex, PieceRun, PieceSet},
    identity::Username,
    swarm::{Planner, SourceId},
    transfer::{SlotRequest, Spread, Spreading, UploadSlot, UploadSlots},
};

use crate::{
    clock::{Peer, Time, UploadId},
    link::{Downlink, Uplink},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It has everything from the beginning.
    Seed,
    Downloader,
    /// It says that it has everything, and sends something else.
    Liar,
}

pub(crate) struct Node {
    pub(crate) user: Username,
    pub(crate) nature: Nature,
    pub(crate) there: bool,
    /// It was there when all began, or came in the rush.
    pub(crate) of_first: bool,
    pub(crate) started: Time,
    pub(crate) done: Option<Time>,
    pub(crate) latency: Time,
    pub(crate) held: PieceSet,
    /// What plans its download, while it runs.
    pub(crate) planner: Option<Planner>,
    pub(crate) sessions: BTreeMap<Peer, Session>,
    /// How many of these are at work.
    pub(crate) running: usize,
    pub(crate) searches: u32,
    /// Who wants to hear what it gains.
    pub(crate) followers: Vec<Peer>,
    /// What it has gained and not told yet.
    pub(crate) gained: Vec<PieceIndex>,
    /// When it tells next, or told last.
    pub(crate) tells_at: Time,
    pub(crate) up: Uplink,
    pub(crate) down: Downlink,
    pub(crate) slots: UploadSlots,
    pub(crate) spread: Spread,
    /// The uploads that wait for a slot, in order.
    pub(crate) waiting: Vec<UploadId>,
    /// Pieces sent whole.
    pub(crate) sent: u64,
}

/// What a downloader does with one source.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) state: State,
    /// The last answer of the index named it.
    pub(crate) listed: bool,
    /// The request whose pieces are read, and the one sent ahead.
    pub(crate) current: Option<Request>,
    pub(crate) upcoming: Option<Request>,
    /// The planner has nothing before then.
    pub(crate) ask_at: Option<Time>,
    /// Changes whenever the state does.
    pub(crate) version: u32,
    pub(crate) rests: u32,
    /// It is to look what it does next.
    pub(crate) woken: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    New,
    Opening,
    Open,
    /// It is tried again soon, or made room for others first.
    Pausing,
    Resting(Time),
    StruckOff,
}

/// Pieces that a downloader has asked for.
pub(crate) struct Request {
    pub(crate) upload: UploadId,
    /// What is still to come and wanted, in order.
    pub(crate) pieces: VecDeque<PieceIndex>,
    pub(crate) asked: Vec<PieceIndex>,
}

impl Request {
    pub(crate) fn is_half_done(&self) -> bool {
        self.pieces.len() * 2 <= self.asked.len()
    }
}

/// The same request at its source.
pub(crate) struct Upload {
    pub(crate) source: Peer,
    pub(crate) to: Peer,
    pub(crate) runs: Vec<PieceRun>,
    pub(crate) others: Vec<PieceRun>,
    /// What is still to be sent, once that is chosen.
    pub(crate) pieces: VecDeque<PieceIndex>,
    /// What the source knows of what it has given to others; nothing before the request has come.
    pub(crate) spreading: Option<Spreading>,
    pub(crate) place: Place,
    /// A piece is under way to the receiver's line.
    pub(crate) sending: bool,
}

pub(crate) enum Place {
    Travelling,
    Waiting(SlotRequest),
    /// Dropping it frees the slot.
    Granted {
        _slot: UploadSlot,
    },
}

pub(crate) fn id(peer: Peer) -> SourceId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&peer.to_be_bytes());
    SourceId::from_bytes(bytes)
}

pub(crate) fn peer(id: SourceId) -> Peer {
    let bytes = id.as_bytes();
    Peer::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
