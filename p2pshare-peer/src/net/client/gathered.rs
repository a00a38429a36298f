//! An update of what a peer has, while its messages come.

use p2pshare_core::content::{MAX_PIECE_COUNT, PieceRun, PieceSet};
use p2pshare_core::transfer::TransferError;

/// Every second piece of the largest content.
const MAX_RUNS: usize = MAX_PIECE_COUNT as usize / 2 + 1;

/// So many runs are kept as they are; more take a bit for each piece that a content can have, which is less.
const FEW: usize = 16 * 1024;

/// The runs of an update. A peer that never ends one takes little memory.
#[derive(Default)]
pub(super) struct Gathered {
    runs: Vec<PieceRun>,
    more: Option<PieceSet>,
    count: usize,
}

impl Gathered {
    /// Adds what a message has.
    pub(super) fn add(&mut self, runs: Vec<PieceRun>) -> Result<(), TransferError> {
        self.count = self.count.saturating_add(runs.len());
        if self.count > MAX_RUNS {
            return Err(broken("an update has more runs than a content can have"));
        }
        self.runs.extend(runs);
        if self.runs.len() > FEW { self.pack() } else { Ok(()) }
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Result<Vec<PieceRun>, TransferError> {
        if self.more.is_none() {
            return Ok(self.runs);
        }
        self.pack()?;
        Ok(self.more.iter().flat_map(PieceSet::runs).collect())
    }

    fn pack(&mut self) -> Result<(), TransferError> {
        let more = self.more.get_or_insert_with(|| PieceSet::empty(MAX_PIECE_COUNT));
        for run in self.runs.drain(..) {
            let new = more.insert_run(run).map_err(|error| broken(&error.to_string()))?;
            // Whoever repeats large ones makes much work of little.
            if new != run.count {
                return Err(broken("an update names a piece twice"));
            }
        }
        Ok(())
    }
}

fn broken(what: &str) -> TransferError {
    TransferError::Protocol(what.to_owned())
}

#[cfg(test)]
mod tests {
    use p2pshare_core::content::PieceIndex;

    use super::*;

    fn run(start: u32, count: u32) -> PieceRun {
        PieceRun::new(PieceIndex(start), count)
    }

    #[test]
    fn many_runs_come_as_they_were_sent() {
        for count in [0, 3, FEW as u32, FEW as u32 + 1, 3 * FEW as u32] {
            let sent: Vec<_> = (0..count).map(|at| run(3 * at, 2)).collect();
            let mut gathered = Gathered::default();
            for message in sent.chunks(1000) {
                gathered.add(message.to_vec()).unwrap();
                assert!(gathered.runs.len() <= FEW);
            }
            assert_eq!(gathered.finish().unwrap(), sent, "{count}");
        }
    }

    #[test]
    fn what_no_content_has_is_refused() {
        let all = run(0, MAX_PIECE_COUNT);
        let many = |runs: Vec<PieceRun>| {
            let mut gathered = Gathered::default();
            gathered.add(runs)?;
            gathered.finish()
        };
        assert!(many(vec![all; FEW + 1]).is_err());
        assert!(many(vec![run(MAX_PIECE_COUNT, 1); FEW + 1]).is_err());
        assert!(many(vec![run(0, 1); MAX_RUNS + 1]).is_err());
        // What is in few of them is seen by whoever takes them.
        assert!(many(vec![all; FEW]).is_ok());
    }
}
