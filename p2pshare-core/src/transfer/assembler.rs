//! Putting segments together to pieces.

use bytes::Bytes;

use super::{
    Segment, TransferError,
    runs::{Pieces, wanted_runs},
    slices::Slices,
};
use crate::content::{Layout, PieceIndex, PieceRun};

/// Makes whole pieces of the segments that answer a fetch, and refuses every answer that is not exactly what was asked.
///
/// It is the one defence against a hostile stream of segments: all that receives uses it. It holds one piece at most,
/// and never copies a segment of 4 KiB or more. The bytes it gives are not verified yet.
#[derive(Debug)]
pub struct PieceAssembler {
    layout: Layout,
    /// The pieces that come after the current one.
    pieces: Pieces,
    /// The piece that the next segment belongs to, `None` when all have come.
    current: Option<PieceIndex>,
    slices: Slices,
}

impl PieceAssembler {
    /// Starts with what was asked for; no runs: the whole content.
    ///
    /// # Errors
    ///
    /// [`TransferError::Protocol`] when the content has no such runs.
    pub fn new(layout: Layout, runs: &[PieceRun]) -> Result<Self, TransferError> {
        let mut pieces = Pieces::new(wanted_runs(&layout, runs)?);
        let current = pieces.next();
        Ok(Self { layout, pieces, current, slices: Slices::default() })
    }

    /// The piece that the next segment belongs to, `None` when all have come.
    #[must_use]
    pub fn current(&self) -> Option<PieceIndex> {
        self.current
    }

    /// How many bytes the current piece still lacks.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.current
            .map_or(0, |piece| self.layout.piece_len(piece).saturating_sub(self.slices.len()))
    }

    /// Takes the next segment, and gives a piece when it is whole, as slices in order.
    ///
    /// # Errors
    ///
    /// [`TransferError::Protocol`] for a segment that is not at the place that comes next, crosses the border of its
    /// piece, is empty (unless the content is), or was not asked for. Nothing of it is taken then.
    pub fn push(
        &mut self,
        segment: Segment,
    ) -> Result<Option<(PieceIndex, Vec<Bytes>)>, TransferError> {
        let Some(piece) = self.current else {
            return broken("more bytes came than were asked for");
        };
        let expected = self.layout.piece_offset(piece) + self.slices.len() as u64;
        if segment.offset != expected {
            let found = segment.offset;
            return broken(format!("a segment came at byte {found} where byte {expected} was due"));
        }
        let missing = self.missing();
        if segment.data.is_empty() && missing > 0 {
            return broken(format!("an empty segment came at byte {expected}"));
        }
        if segment.data.len() > missing {
            return broken(format!(
                "a segment at byte {expected} goes beyond the end of piece {piece}"
            ));
        }
        let whole = segment.data.len() == missing;
        self.slices.push(segment.data);
        if !whole {
            return Ok(None);
        }
        self.current = self.pieces.next();
        Ok(Some((piece, self.slices.take())))
    }

    /// Says whether all that was asked for has come, once the stream has ended.
    ///
    /// # Errors
    ///
    /// [`TransferError::Protocol`] when something is missing.
    pub fn finish(&self) -> Result<(), TransferError> {
        match self.current {
            None => Ok(()),
            Some(piece) => broken(format!(
                "the stream ended {} bytes before the end of piece {piece}",
                self.missing()
            )),
        }
    }
}

fn broken<T>(what: impl Into<String>) -> Result<T, TransferError> {
    Err(TransferError::Protocol(what.into()))
}
