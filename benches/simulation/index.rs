//! Who is known to have the content.

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use crate::clock::Peer;

/// How many sources it names at once unless asked for another number.
const ANSWER: usize = 20;

/// The index's list of sources, in a circle; each answer begins at a random place.
#[derive(Default)]
pub(crate) struct Index {
    listed: Vec<Peer>,
}

impl Index {
    /// Peers come in the order of their numbers or nearly so.
    pub(crate) fn add(&mut self, peer: Peer) {
        if let Err(at) = self.listed.binary_search(&peer) {
            self.listed.insert(at, peer);
        }
    }

    pub(crate) fn remove(&mut self, peer: Peer) {
        if let Ok(at) = self.listed.binary_search(&peer) {
            self.listed.remove(at);
        }
    }

    pub(crate) fn sources(&self, asker: Peer, rng: &mut Xoshiro256PlusPlus) -> Vec<Peer> {
        if self.listed.is_empty() {
            return Vec::new();
        }
        let pivot = rng.random_range(0..self.listed.len());
        let count = self.listed.len();
        let circle = (pivot..pivot + count.min(ANSWER)).map(|at| self.listed[at % count]);
        circle.filter(|peer| *peer != asker).collect()
    }
}
