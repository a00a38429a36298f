//! What a source gives of what is left to it, in the model.

use std::{collections::BTreeSet, time::Duration};

use p2pshare_core::content::PieceIndex;
use rand::RngExt;

use super::{World, id, index, steal};

impl World {
    /// Sooner or later it says what it gives, before anything of it has come.
    pub(super) fn choose(&mut self, who: usize) {
        let actor = &mut self.actors[who];
        let due = actor.choices.front().is_some_and(|(asked, _)| {
            actor.orders.front().is_none_or(|first| asked.contains(first))
        });
        if !actor.is_there() || !(due || self.rng.random_bool(0.3)) {
            return;
        }
        let Some((asked, mut named)) = actor.choices.pop_front() else {
            return;
        };
        // What others took meanwhile can have been all of it: then the request was given up.
        if !actor.orders.iter().any(|order| asked.contains(order)) || actor.bytes > 0.0 && due {
            return;
        }
        for at in 0..asked.len() {
            let other = self.rng.random_range(at..named.len());
            named.swap(at, other);
        }
        named.truncate(asked.len());
        let before = self.holders.clone();
        let [asked_pieces, pieces] =
            [&asked, &named].map(|all| all.iter().copied().map(PieceIndex).collect::<Vec<_>>());
        if self.actors[who].orders.front().is_some_and(|first| asked.contains(first)) {
            self.actors[who].waiting = false;
        }
        let result = self.planner.chosen(id(who), &asked_pieces, &pieces, self.now);
        let orders = &mut self.actors[who].orders;
        let place = orders.iter().position(|order| asked.contains(order)).unwrap();
        let mut old: BTreeSet<u32> =
            orders.iter().copied().filter(|order| asked.contains(order)).collect();
        orders.retain(|order| !asked.contains(order));
        let mut wanted = Vec::new();
        let mut victims = BTreeSet::new();
        for piece in named {
            let holders = before.get(&piece).cloned().unwrap_or_default();
            let assigned = self.planner.is_assigned(id(who), PieceIndex(piece));
            let mut losers: BTreeSet<usize> = BTreeSet::new();
            if old.remove(&piece) {
                assert!(assigned, "lost what it gives");
                losers.extend(holders.iter().filter(|other| self.actors[**other].waiting));
                losers.remove(&who);
            } else if holders.contains(&who) || !assigned {
                let taken = self.verified.contains(&piece) || !holders.is_empty();
                assert!(taken, "did not take what is free");
                continue;
            } else if !holders.is_empty() {
                for holder in &holders {
                    steal(&mut self.thefts, piece, *holder, who, self.now);
                }
                losers = holders;
            }
            for loser in losers {
                let actor = &mut self.actors[loser];
                assert!(actor.waiting || actor.orders.front() != Some(&piece), "it was at it");
                actor.loses(piece);
                actor.ask_at = Duration::ZERO;
                self.holders.entry(piece).or_default().remove(&loser);
                victims.insert(loser);
            }
            assert!(!self.verified.contains(&piece), "assigned what is verified");
            self.holders.entry(piece).or_default().insert(who);
            wanted.push(piece);
        }
        for piece in &old {
            self.holders.entry(*piece).or_default().remove(&who);
        }
        assert_eq!(result.freed, !old.is_empty());
        assert_eq!(victims, result.victims.iter().copied().map(index).collect());
        let orders = &mut self.actors[who].orders;
        let rest = orders.split_off(place.min(orders.len()));
        orders.extend(wanted);
        orders.extend(rest);
        if orders.is_empty() {
            self.actors[who].waiting = false;
        }
        self.holders.retain(|_, holders| !holders.is_empty());
        self.forget_thefts();
        self.compare();
    }
}
