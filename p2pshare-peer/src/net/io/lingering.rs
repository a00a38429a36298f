//! Closing a connection so that the last bytes arrive.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the other end may take to close after this one.
const LONGEST: Duration = Duration::from_secs(5);

/// A TCP connection whose socket outlives it for a moment.
///
/// A system that closes a socket in which something was not read yet resets the connection, and what the other end has
/// not read by then is lost: often the end of an answer, for HTTP/2 always says something back. So this end says that it
/// will write no more, and closes when the other end has done so too (RFC 9112, section 9.6).
pub(crate) struct Lingering {
    stream: Option<TcpStream>,
    closing: Option<oneshot::Sender<TcpStream>>,
    shut_down: bool,
}

/// What is left to do when a [`Lingering`] connection is over.
pub(crate) struct Leftover {
    socket: oneshot::Receiver<TcpStream>,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream) -> (Self, Leftover) {
        let (closing, socket) = oneshot::channel();
        let lingering = Self { stream: Some(stream), closing: Some(closing), shut_down: false };
        (lingering, Leftover { socket })
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        // It is taken out when this is dropped.
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Leftover {
    /// Waits until the connection is dropped, and if it was shut down, for a few seconds for the other end to close it.
    pub(crate) async fn close(self) {
        let Ok(mut socket) = self.socket.await else { return };
        let mut unread = [0; 4096];
        // Whatever comes now is for nobody.
        let drained = async { while socket.read(&mut unread).await.is_ok_and(|len| len > 0) {} };
        let _ = timeout(LONGEST, drained).await;
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let (true, Some(stream), Some(closing)) =
            (self.shut_down, self.stream.take(), self.closing.take())
        {
            // If nobody waits for it, it is closed at once.
            let _ = closing.send(stream);
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_shutdown(cx))?;
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_last_bytes_arrive_though_something_was_not_read() {
        let (mut client, server) = pair().await;
        let (mut lingering, leftover) = Lingering::new(server);
        client.write_all(b"never read").await.unwrap();
        // It is there before the other end closes.
        lingering.stream.as_ref().unwrap().readable().await.unwrap();
        lingering.write_all(b"the end").await.unwrap();
        lingering.shutdown().await.unwrap();
        drop(lingering);
        let closing = tokio::spawn(leftover.close());
        client.write_all(b"this neither").await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"the end");
        assert!(!closing.is_finished());
        drop(client);
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_broke_is_closed_at_once() {
        let (mut client, server) = pair().await;
        let (lingering, leftover) = Lingering::new(server);
        drop(lingering);
        leftover.close().await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}
