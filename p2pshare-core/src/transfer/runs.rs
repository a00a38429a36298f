//! Runs of pieces that somebody asks for.

use std::vec;

use super::TransferError;
use crate::content::{Layout, PieceIndex, PieceRun};

/// The runs that a request for `runs` of a content means: these, or the whole content when there are none.
///
/// # Errors
///
/// [`TransferError::Protocol`] for a run that is empty or goes beyond the content, and for more pieces than the content
/// has: each byte is sent once, so that a short request cannot make endless work.
pub fn wanted_runs(layout: &Layout, runs: &[PieceRun]) -> Result<Vec<PieceRun>, TransferError> {
    if runs.is_empty() {
        return Ok(vec![layout.all()]);
    }
    let mut room = layout.piece_count();
    for run in runs {
        layout.check_run(*run).map_err(|error| TransferError::Protocol(error.to_string()))?;
        room = room.checked_sub(run.count).ok_or_else(|| {
            TransferError::Protocol(format!(
                "more pieces were asked for than the {} that the content has",
                layout.piece_count()
            ))
        })?;
    }
    Ok(runs.to_vec())
}

/// Goes through the pieces of runs that [`wanted_runs`] gave.
#[derive(Debug)]
pub(super) struct Pieces {
    run: PieceRun,
    rest: vec::IntoIter<PieceRun>,
}

impl Pieces {
    pub(super) fn new(runs: Vec<PieceRun>) -> Self {
        Self { run: PieceRun::new(PieceIndex(0), 0), rest: runs.into_iter() }
    }
}

impl Iterator for Pieces {
    type Item = PieceIndex;

    fn next(&mut self) -> Option<PieceIndex> {
        while self.run.count == 0 {
            self.run = self.rest.next()?;
        }
        let piece = self.run.start;
        self.run = PieceRun::new(PieceIndex(piece.0.saturating_add(1)), self.run.count - 1);
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::PIECE_LEN;

    fn run(start: u32, count: u32) -> PieceRun {
        PieceRun::new(PieceIndex(start), count)
    }

    #[test]
    fn no_runs_mean_all_pieces() {
        let layout = Layout::new(3 * PIECE_LEN).unwrap();
        assert_eq!(wanted_runs(&layout, &[]).unwrap(), [run(0, 3)]);
    }

    #[test]
    fn runs_keep_their_order() {
        let layout = Layout::new(5 * PIECE_LEN).unwrap();
        let runs = wanted_runs(&layout, &[run(3, 2), run(0, 1)]).unwrap();
        let pieces: Vec<_> = Pieces::new(runs).map(|piece| piece.0).collect();
        assert_eq!(pieces, [3, 4, 0]);
    }

    #[test]
    fn hostile_runs_are_refused() {
        let layout = Layout::new(3 * PIECE_LEN).unwrap();
        let hostile: [&[PieceRun]; 5] = [
            &[run(0, 0)],
            &[run(3, 1)],
            &[run(1, u32::MAX)],
            &[run(0, 3), run(0, 1)],
            &[run(u32::MAX, u32::MAX)],
        ];
        for runs in hostile {
            let result = wanted_runs(&layout, runs);
            assert!(matches!(result, Err(TransferError::Protocol(_))), "{runs:?}");
        }
    }
}
