//! Messages on their way out.

use std::pin::Pin;
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
    data: Bytes,
    is_answer: bool,
}

impl<S> OutgoingBody<S> {
    /// The body of a request.
    pub(crate) fn of_request(messages: S) -> Self {
        Self { messages: Some(messages), data: Bytes::new(), is_answer: false }
    }

    /// The body of an answer.
    pub(crate) fn of_answer(messages: S) -> Self {
        Self { messages: Some(messages), data: Bytes::new(), is_answer: true }
    }
}

impl<S: Stream<Item = Result<Encoded, Status>> + Unpin> Body for OutgoingBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let end = match ready!(messages.poll_next_unpin(cx)) {
            Some(Ok(Encoded { head, data })) => {
                self.data = data;
                return Poll::Ready(Some(Ok(Frame::data(head))));
            }
            Some(Err(status)) => status,
            None => Status::ok(""),
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
        self.messages.is_none() && self.data.is_empty()
    }
}
