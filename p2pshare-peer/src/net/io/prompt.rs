//! Writing only what the system takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that takes nothing while something that it took waits for the socket.
///
/// TLS has a buffer for as much as a frame. On a slow line that would be full all the time, and whatever has to be said,
/// an answer or a ping, would wait behind it.
pub(crate) struct Prompt<S>(S);

impl<S> Prompt<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_is_taken_while_something_waits() {
        let (near, mut far) = duplex(10);
        let mut prompt = Prompt::new(BufWriter::with_capacity(1000, near));
        assert_eq!(prompt.write(&[1; 30]).await.unwrap(), 30);
        assert!(prompt.write(&[2; 30]).now_or_never().is_none());
        far.read_exact(&mut [0; 10]).await.unwrap();
        assert!(prompt.write(&[2; 30]).now_or_never().is_none());
        let mut rest = [0; 20];
        let (read, written) = tokio::join!(far.read_exact(&mut rest), prompt.write(&[2; 30]));
        assert_eq!((read.unwrap(), written.unwrap()), (20, 30));
        assert_eq!(rest, [1; 20]);
    }
}
