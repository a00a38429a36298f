//! What a source says that it gains while it is asked.

use super::Session;
use crate::{
    content::PieceRun,
    transfer::{HaveUpdate, TransferError},
};

impl Session<'_> {
    pub(super) fn take_update(
        &mut self,
        update: Option<Result<HaveUpdate, TransferError>>,
    ) -> Result<(), TransferError> {
        let Some(Ok(update)) = update else {
            // It may still be good for what it had. If not, the next attempt asks anew.
            self.have = None;
            self.have_broke = true;
            self.ask_at = None;
            return Ok(());
        };
        if update.gained.is_empty() && !update.complete {
            let lie = "it says that it has gained something and does not say what";
            return Err(TransferError::Protocol(lie.into()));
        }
        for run in &update.gained {
            self.take_gained(*run)?;
        }
        if update.complete {
            self.have = None;
        }
        self.board.state().planner.gained(self.id, &update.gained);
        self.ask_at = None;
        Ok(())
    }

    /// Checks what it says that it has gained: each piece once, so that it cannot make endless work.
    fn take_gained(&mut self, run: PieceRun) -> Result<(), TransferError> {
        let checked = self.board.layout.check_run(run);
        checked.map_err(|error| TransferError::Protocol(error.to_string()))?;
        let room = self.room.checked_sub(run.count);
        let lie = || TransferError::Protocol("it says twice that it has gained a piece".into());
        self.room = room.ok_or_else(lie)?;
        Ok(())
    }
}
