//! The names in a hit.

use std::{cmp::Reverse, collections::BTreeSet};

use super::super::NAMES_PER_HIT;
use crate::{
    api::HitName,
    identity::Username,
    path::{PathError, SharePath},
};

/// The most relevant names, then in order of path and owner; each once.
#[derive(Default)]
pub(crate) struct BestNames {
    best: BTreeSet<(Reverse<u32>, String, Username)>,
}

impl BestNames {
    pub(crate) fn add(&mut self, relevance: u32, path: &str, owner: Username) {
        let full = self.best.len() >= NAMES_PER_HIT;
        let place = (Reverse(relevance), path, &owner);
        if full
            && let Some((relevance, path, owner)) = self.best.last()
            && place >= (*relevance, path.as_str(), owner)
        {
            return;
        }
        self.best.insert((Reverse(relevance), path.to_owned(), owner));
        if self.best.len() > NAMES_PER_HIT {
            self.best.pop_last();
        }
    }

    /// The names, unless one is no path.
    pub(crate) fn into_names(self) -> Result<Vec<HitName>, PathError> {
        let name = |(_, path, owner): (_, String, _)| {
            Ok(HitName { path: SharePath::parse(&path)?, owner })
        };
        self.best.into_iter().map(name).collect()
    }
}
