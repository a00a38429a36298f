//! Work that makes the messages of an answer, a few ahead of the socket.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use p2pshare_core::transfer::TransferError;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::Answers;
use crate::net::grpc::{Unsent, Untaken};
use crate::net::status::transfer_status;

/// How many messages wait for the socket at most. With segments of a megabyte it bounds the memory of a fetch.
const AHEAD: usize = 4;

/// The client that reads an answer.
pub(super) struct Reader {
    /// Whether it takes what is there.
    pub(super) untaken: Untaken,
    /// How long it may take nothing.
    pub(super) stall_timeout: Duration,
}

/// Where the work puts its messages.
pub(super) struct Outbound<T> {
    sender: mpsc::Sender<Result<T, Status>>,
    reader: Reader,
}

impl<T> Outbound<T> {
    /// Sends a message; waits for room as long as the client reads.
    pub(super) async fn send(&self, message: T) -> Result<(), Unsent> {
        let Reader { untaken, stall_timeout } = &self.reader;
        untaken.send(&self.sender, Ok(message), *stall_timeout).await
    }

    /// Sends a message if there is room for it; for news that the next one replaces.
    pub(super) fn tell(&self, message: T) {
        // A full channel is a client that has yet to read older news.
        let _ = self.sender.try_send(Ok(message));
    }
}

/// Why work ends early.
pub(super) enum Failure {
    /// The client is told of it.
    Error(TransferError),
    /// The client may not do what it asks for.
    Denied(Status),
    /// The client does not take what it is sent.
    Unsent(Unsent),
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Self::Error(error)
    }
}

impl From<Unsent> for Failure {
    fn from(unsent: Unsent) -> Self {
        Self::Unsent(unsent)
    }
}

/// Runs the work as a task of its own and gives its messages. When the stream is dropped the task is cancelled; when the
/// work fails, everything it held is dropped first and the error is the last message.
pub(super) fn spawn<T, W>(reader: Reader, work: impl FnOnce(Outbound<T>) -> W) -> Answers<T>
where
    T: Send + 'static,
    W: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let outbound = Outbound { sender: sender.clone(), reader };
    let work = work(outbound);
    let task = tokio::spawn(async move {
        let status = match work.await {
            Ok(()) | Err(Failure::Unsent(Unsent::Gone)) => return,
            Err(Failure::Error(error)) => transfer_status(&error),
            Err(Failure::Denied(status)) => status,
            Err(Failure::Unsent(Unsent::Stalled(time))) => {
                let error = TransferError::Unavailable(format!("nothing was read for {time:?}"));
                transfer_status(&error)
            }
        };
        // Waits as long as the client stays: only this little task does.
        let _ = sender.send(Err(status)).await;
    });
    Pumped { receiver, _task: AbortOnDropHandle::new(task) }.boxed()
}

struct Pumped<T> {
    receiver: mpsc::Receiver<Result<T, Status>>,
    _task: AbortOnDropHandle<()>,
}

impl<T> Stream for Pumped<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}
