//! Bounding the heads of the answers that a peer gives.
//!
//! An answer has a head, and often another one that ends it. Before these HTTP/2 allows any number of informational ones
//! (RFC 9113, section 8.1), which the library keeps until somebody reads the answer: a peer could fill the memory with
//! them.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::forward_writes;

/// Most heads of one answer.
const MOST: u8 = 8;

/// Answers that are begun. Of more the oldest are forgotten: they were given up, which is not seen here.
const STREAMS: usize = 1024;

/// Length of what begins a frame (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;

/// The type of a frame that begins a head, and its flag that nothing follows.
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// A connection of a client that breaks when an answer has too many heads. What it carries is HTTP/2, not encrypted any
/// more.
pub(crate) struct HeadLimit<S> {
    stream: S,
    /// How many heads have come of the answers that are not at their end.
    heads: BTreeMap<u32, u8>,
    /// Of this one and those before it nothing is known any more, unless they are above.
    forgotten: u32,
    /// What has come of a frame's beginning.
    head: [u8; FRAME_HEAD],
    head_len: usize,
    /// What is still to come of the rest of the frame.
    rest: usize,
}

impl<S> HeadLimit<S> {
    pub(crate) fn new(stream: S) -> Self {
        let heads = BTreeMap::new();
        Self { stream, heads, forgotten: 0, head: [0; FRAME_HEAD], head_len: 0, rest: 0 }
    }

    /// Goes on with what has come. False if an answer has too many heads.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = (FRAME_HEAD - self.head_len).min(bytes.len());
            self.head[self.head_len..self.head_len + taken].copy_from_slice(&bytes[..taken]);
            self.head_len += taken;
            bytes = &bytes[taken..];
            if self.head_len == FRAME_HEAD {
                let [high, middle, low, kind, flags, a, b, c, d] = self.head;
                self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.head_len = 0;
                // The first bit is reserved, and ignored by whoever reads.
                let answer = u32::from_be_bytes([a & 0x7f, b, c, d]);
                let is_head = kind == HEADERS;
                if is_head && !self.came(answer, flags & END_STREAM != 0) {
                    return false;
                }
            }
        }
        true
    }

    /// A head of an answer has come. False if it is one too many.
    fn came(&mut self, answer: u32, is_last: bool) -> bool {
        if is_last {
            self.heads.remove(&answer);
            return true;
        }
        if answer <= self.forgotten && !self.heads.contains_key(&answer) {
            return false;
        }
        let count = self.heads.entry(answer).or_default();
        *count += 1;
        let is_fine = *count <= MOST;
        if self.heads.len() > STREAMS
            && let Some((oldest, _)) = self.heads.pop_first()
        {
            self.forgotten = oldest;
        }
        is_fine
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let more = buf.filled().get(before..).unwrap_or_default();
        match self.follow(more) {
            true => read,
            false => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the peer gives an answer with too many heads",
            ))),
        }
    }
}

forward_writes!([S: AsyncWrite + Unpin] HeadLimit<S>, stream);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, len: usize) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(len).unwrap().to_be_bytes();
        let head = [&[high, middle, low, kind, flags][..], &stream.to_be_bytes()].concat();
        // Bytes that would be heads if they were taken for the beginning of a frame.
        [head, vec![HEADERS; len]].concat()
    }

    async fn read(sent: &[u8], at_once: usize) -> io::Result<usize> {
        let mut limit = HeadLimit::new(sent);
        let (mut read, mut part) = (0, vec![0; at_once]);
        loop {
            match limit.read(&mut part).await? {
                0 => return Ok(read),
                more => read += more,
            }
        }
    }

    #[tokio::test]
    async fn an_answer_with_too_many_heads_breaks_the_connection() {
        let data = [frame(0, 0, 1, 100_000), frame(4, 0, 0, 12)].concat();
        let heads = frame(HEADERS, 4, 1, 20).repeat(MOST.into());
        let allowed = [data.clone(), heads, data, frame(HEADERS, 5, 1, 7)].concat();
        let too_many = [allowed.clone(), frame(HEADERS, 4, 3, 0).repeat(usize::from(MOST) + 1)];
        for at_once in [1, 8, 10, 64, 1 << 20] {
            assert_eq!(read(&allowed, at_once).await.unwrap(), allowed.len());
            let broken = read(&too_many.concat(), at_once).await.unwrap_err();
            assert_eq!(broken.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn no_number_of_an_answer_makes_room_for_more_heads() {
        let head = |limit: &mut HeadLimit<()>, stream| limit.follow(&frame(HEADERS, 4, stream, 5));
        // The reserved bit makes no other answer of it.
        let mut limit = HeadLimit::new(());
        for answer in [1, 1 | 1 << 31].repeat(usize::from(MOST) / 2) {
            assert!(head(&mut limit, answer));
        }
        assert!(!head(&mut limit, 1));
        // Nor do many later ones make it forgotten.
        for first in [1, 3] {
            let mut limit = HeadLimit::new(());
            for number in 0..STREAMS as u32 + 2 {
                assert!(head(&mut limit, 2 * number + 1));
            }
            assert!(!head(&mut limit, first));
        }
    }

    #[tokio::test]
    async fn any_number_of_answers_may_come() {
        let answers = (0..10_000).flat_map(|number| {
            let begins = frame(HEADERS, 4, 2 * number + 1, 30);
            // Some are given up.
            let ends =
                if number % 3 > 0 { frame(HEADERS, 5, 2 * number + 1, 9) } else { Vec::new() };
            [begins, ends]
        });
        let answers: Vec<_> = answers.collect();
        let mut limit = HeadLimit::new(tokio::io::empty());
        for answer in answers {
            assert!(limit.follow(&answer));
            assert!(limit.heads.len() <= STREAMS);
        }
        assert_eq!(limit.read(&mut [0]).await.unwrap(), 0);
    }
}
