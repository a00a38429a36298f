//! A connection that is made when it is needed and made anew when it broke.

use p2pshare_core::transfer::TransferError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::channel::Channel;

/// At most one open connection to a peer, for one kind of call.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Channel>,
    failure: Option<(Instant, TransferError)>,
}

impl Lane {
    /// The open connection, or a new one. Many who ask at once make one attempt, and all get its result.
    pub(super) async fn channel(
        &self,
        connect: impl AsyncFnOnce() -> Result<Channel, TransferError>,
    ) -> Result<Channel, TransferError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(channel) = &state.open
            && !channel.is_closed()
        {
            return Ok(channel.clone());
        }
        state.open = None;
        if let Some((failed, error)) = &state.failure
            && *failed >= asked
        {
            return Err(error.clone());
        }
        match connect().await {
            Ok(channel) => {
                state.failure = None;
                state.open = Some(channel.clone());
                Ok(channel)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
