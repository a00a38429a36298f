//! Reading much at a time on behalf of somebody who asks for little.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::forward_writes;

/// What a connection that says little has as a buffer, in bytes.
const SMALL: usize = 8 << 10;
/// What one that says much gets.
const LARGE: usize = 128 << 10;

/// A connection under TLS. The TLS library reads 4 KiB at a time; here they come from a buffer, so that a megabyte
/// takes 8 calls of the system and not 300. The buffer is large only while much comes.
pub(crate) struct ReadAhead<S> {
    stream: S,
    buffer: Vec<u8>,
    /// What was read and not given yet: `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// Reads into the empty buffer.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            self.buffer.resize(SMALL, 0);
        }
        let mut read = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        (self.start, self.end) = (0, read.filled().len());
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer the length that the last reading calls for, once all of that was taken.
    fn fit(&mut self) {
        if self.end == self.buffer.len() {
            // More is there.
            self.buffer.resize(LARGE, 0);
        } else if self.end < SMALL && self.buffer.len() > SMALL {
            self.buffer = Vec::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start == self.end {
            ready!(self.poll_fill(cx))?;
        }
        let len = buf.remaining().min(self.end - self.start);
        buf.put_slice(&self.buffer[self.start..self.start + len]);
        self.start += len;
        if self.start == self.end {
            self.fit();
            (self.start, self.end) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }
}

forward_writes!([S: AsyncWrite + Unpin] ReadAhead<S>, stream);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn gives_what_came_in_order_and_says_when_it_ends() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut reader = ReadAhead::new(listener.accept().await.unwrap().0);
        let sent: Vec<u8> = (0..3 * LARGE + 777).map(|number| (number % 251) as u8).collect();
        let copy = sent.clone();
        let sending = tokio::spawn(async move {
            sender.write_all(&copy[..5]).await.unwrap();
            sender.write_all(&copy[5..]).await.unwrap();
        });
        let mut received = Vec::new();
        let mut part = [0; 4096];
        loop {
            match reader.read(&mut part).await.unwrap() {
                0 => break,
                len => received.extend_from_slice(&part[..len]),
            }
            assert!(reader.buffer.len() <= LARGE);
        }
        sending.await.unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn a_connection_that_says_little_again_has_a_small_buffer() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut reader = ReadAhead::new(listener.accept().await.unwrap().0);
        sender.write_all(&[1; SMALL]).await.unwrap();
        let mut part = vec![0; SMALL];
        reader.read_exact(&mut part).await.unwrap();
        for _ in 0..2 {
            sender.write_all(&[2; 9]).await.unwrap();
            reader.read_exact(&mut part[..9]).await.unwrap();
        }
        assert!(reader.buffer.len() <= SMALL);
    }
}
