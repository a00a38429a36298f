//! What a source tells before its bytes: its choice of what was left to it, and of the request that was sent ahead.

use super::Session;
use crate::{
    content::PieceRun,
    transfer::{FetchEvent, TransferError},
};

impl Session<'_> {
    /// What the source tells of the request that was sent ahead.
    pub(super) fn take_early(
        &mut self,
        event: Option<Result<FetchEvent, TransferError>>,
    ) -> Result<(), TransferError> {
        let Some(request) = &mut self.upcoming else {
            return Ok(());
        };
        match event {
            Some(Ok(FetchEvent::Queued { position })) => {
                request.queue.take(position)?;
                request.position = Some(position);
            }
            Some(Ok(FetchEvent::Chosen { runs })) => {
                let (asked, chosen) = request.choose(&runs)?;
                self.board.chosen(self.id, &asked, &chosen);
                self.give_up_lost();
            }
            // Bytes and the end are only given when they are read.
            Some(Ok(FetchEvent::Segment(_))) | None => {}
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn take_chosen(&mut self, runs: &[PieceRun]) -> Result<(), TransferError> {
        if let Some(request) = &mut self.current {
            let (asked, chosen) = request.choose(runs)?;
            request.alive(self.board.options.stall);
            self.board.chosen(self.id, &asked, &chosen);
            self.give_up_lost();
        }
        Ok(())
    }
}
