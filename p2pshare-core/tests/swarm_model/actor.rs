//! The sources of the model.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Nature {
    /// Delivers what it says.
    Honest,
    /// Sends wrong bytes.
    Liar,
    /// Its connection breaks again and again.
    Flaky,
    /// Delivers nothing.
    Stalls,
    /// Says that it has pieces, and denies it when asked.
    DeniesPieces,
    /// Honest, but puts requests into a queue now and then.
    Queues,
    /// Honest, but gives something else of what would do as well.
    Chooses,
}

#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) nature: Nature,
    /// MiB per second.
    pub(crate) speed: f64,
    /// The part of the pieces that it has from the start.
    pub(crate) share: f64,
    /// Chance to gain a piece in one step.
    pub(crate) gains: f64,
    pub(crate) joins_at: f64,
    pub(crate) stays: f64,
    /// What it has, once it has joined.
    pub(crate) holds: BTreeSet<u32>,
    pub(super) joined: bool,
    pub(super) gone: bool,
    /// What it was asked for, in order.
    pub(super) orders: VecDeque<u32>,
    /// What it was asked for is in its queue.
    pub(super) waiting: bool,
    /// Requests that leave it a choice: what was asked for, and all that was named.
    pub(super) choices: VecDeque<(Vec<u32>, Vec<u32>)>,
    /// Bytes of the first order that have come.
    pub(super) bytes: f64,
    pub(super) silent: u32,
    pub(super) ask_at: Duration,
}

impl Actor {
    pub(crate) fn new(
        nature: Nature,
        speed: f64,
        share: f64,
        gains: f64,
        joins_at: f64,
        stays: f64,
    ) -> Self {
        Self {
            nature,
            speed,
            share,
            gains,
            joins_at,
            stays,
            holds: BTreeSet::new(),
            joined: false,
            gone: false,
            orders: VecDeque::new(),
            waiting: false,
            choices: VecDeque::new(),
            bytes: 0.0,
            silent: 0,
            ask_at: Duration::ZERO,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.joined && !self.gone
    }

    pub(super) fn loses(&mut self, piece: u32) {
        self.orders.retain(|order| *order != piece);
        self.waiting &= !self.orders.is_empty();
    }
}
