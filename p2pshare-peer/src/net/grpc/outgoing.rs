//! Messages on their way out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http_body::{Body, Frame};
use p2pshare_core::transfer::Segment;
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use tonic::Status;

use super::{DATA_TAG, HEAD, OFFSET_TAG, SegmentField};
use crate::net::io::Traffic;

/// A message as it goes over the wire: what comes before the bytes of its segment, and these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    head: Bytes,
    data: Bytes,
}

impl Encoded {
    /// Any message.
    pub(crate) fn message(message: &impl Message) -> Self {
        let len = message.encoded_len();
        let mut head = with_head(len, len);
        message.encode(&mut head).expect("a growing buffer has room");
        Self { head: head.freeze(), data: Bytes::new() }
    }

    /// A message whose one field is this segment. Its bytes are not copied.
    pub(crate) fn segment(field: SegmentField, segment: Segment) -> Self {
        let Segment { offset, data } = segment;
        let data_len = data.len() as u64;
        let mut inner = 0;
        if offset > 0 {
            inner += 1 + encoded_len_varint(offset);
        }
        if !data.is_empty() {
            inner += 1 + encoded_len_varint(data_len);
        }
        let inner_len = inner + data.len();
        let outer = 1 + encoded_len_varint(inner_len as u64);
        let mut head = with_head(outer + inner_len, outer + inner);
        head.put_u8(field.tag());
        encode_varint(inner_len as u64, &mut head);
        if offset > 0 {
            head.put_u8(OFFSET_TAG);
            encode_varint(offset, &mut head);
        }
        if !data.is_empty() {
            head.put_u8(DATA_TAG);
            encode_varint(data_len, &mut head);
        }
        Self { head: head.freeze(), data }
    }
}

/// A buffer that begins with the head of a message of `len` bytes and has room for `room` more.
fn with_head(len: usize, room: usize) -> BytesMut {
    let mut head = BytesMut::with_capacity(HEAD + room);
    head.put_u8(0);
    head.put_u32(u32::try_from(len).expect("messages have a megabyte at most"));
    head
}

/// A stream of messages as the body of a request or an answer. An answer ends with a status.
pub(crate) struct OutgoingBody<S> {
    /// `None` when they have ended.
    messages: Option<S>,
    /// What is left of the message that was begun.
    head: Bytes,
    data: Bytes,
    /// That of the connection, which says how long slices may be.
    traffic: Traffic,
    /// How many bytes of segments were handed on.
    sent: Arc<AtomicU64>,
    is_answer: bool,
}

impl<S> OutgoingBody<S> {
    /// The body of a request.
    pub(crate) fn of_request(messages: S, traffic: Traffic) -> Self {
        Self::new(messages, traffic, false)
    }

    /// The body of an answer.
    pub(crate) fn of_answer(messages: S, traffic: Traffic) -> Self {
        Self::new(messages, traffic, true)
    }

    fn new(messages: S, traffic: Traffic, is_answer: bool) -> Self {
        Self {
            messages: Some(messages),
            head: Bytes::new(),
            data: Bytes::new(),
            traffic,
            sent: Arc::default(),
            is_answer,
        }
    }

    /// How many bytes of segments were handed on to HTTP/2, which has little room for them.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// The next slice of the message that was begun.
    fn slice(&mut self) -> Option<Bytes> {
        let is_data = self.head.is_empty();
        let rest = if is_data { &mut self.data } else { &mut self.head };
        if rest.is_empty() {
            return None;
        }
        let slice = rest.split_to(self.traffic.slice().min(rest.len()));
        if is_data {
            self.sent.fetch_add(slice.len() as u64, Relaxed);
        }
        Some(slice)
    }
}

impl<S: Stream<Item = Result<Encoded, Status>> + Unpin> Body for OutgoingBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let end = loop {
            if let Some(slice) = self.slice() {
                return Poll::Ready(Some(Ok(Frame::data(slice))));
            }
            let Some(messages) = &mut self.messages else {
                return Poll::Ready(None);
            };
            match ready!(messages.poll_next_unpin(cx)) {
                Some(Ok(Encoded { head, data })) => (self.head, self.data) = (head, data),
                Some(Err(status)) => break status,
                None => break Status::ok(""),
            }
        };
        // What it holds is freed before the other end learns that it is over.
        self.messages = None;
        if !self.is_answer {
            return Poll::Ready((end.code() != tonic::Code::Ok).then_some(Err(end)));
        }
        let mut trailers = HeaderMap::new();
        let added = end.add_header(&mut trailers);
        Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none() && self.head.is_empty() && self.data.is_empty()
    }
}
