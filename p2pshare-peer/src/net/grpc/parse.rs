//! Messages out of a stream of bytes that may be cut anywhere.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use p2pshare_core::transfer::Segment;
use prost::Message;
use prost::encoding::decode_varint;
use tonic::Status;

use super::{DATA_TAG, HEAD, OFFSET_TAG};

/// So much is set aside for a message before any of it has come; more as it comes.
const FIRST_ROOM: usize = 16 << 10;

/// In which field of a message a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentField(u8);

impl SegmentField {
    /// Of a `FetchResponse`.
    pub(crate) const FETCH: Self = Self(2);
    /// Of a `PushRequest`.
    pub(crate) const PUSH: Self = Self(3);

    /// The byte before it: its number, and that its length follows.
    pub(super) fn tag(self) -> u8 {
        (self.0 << 3) | 2
    }
}

/// What comes out of the stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part<M> {
    /// A whole message.
    Message(M),
    /// A slice of a segment, never empty. Its message may go on.
    Slice(Segment),
}

/// Finds the messages in a stream of bytes. Of a segment it gives slices as they come; a message that is anything else,
/// or is put together in an unusual way, it collects first, up to `max_message`.
pub(crate) struct Parser<M> {
    field: Option<SegmentField>,
    max_message: usize,
    /// What came last, as far as it was not used.
    input: Bytes,
    state: State,
    message: PhantomData<fn() -> M>,
}

enum State {
    /// The head of a message, as far as it has come.
    Head(BytesMut),
    /// A message of this length, which may be a segment, as far as it has come.
    Begin { len: usize, begun: BytesMut },
    /// A message of this length that is collected.
    Collect { len: usize, collected: BytesMut },
    /// The bytes of a segment.
    Slices { offset: u64, left: usize },
}

impl<M: Message + Default> Parser<M> {
    /// A parser of messages that have segments in this field, if any.
    pub(crate) fn new(field: Option<SegmentField>, max_message: usize) -> Self {
        Self {
            field,
            max_message,
            input: Bytes::new(),
            state: State::Head(BytesMut::new()),
            message: PhantomData,
        }
    }

    /// Messages whose head was not read yet may be so long.
    pub(crate) fn allow(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// Takes the next bytes; [`next`](Self::next) must have said that it has nothing more.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty());
        self.input = bytes;
    }

    /// What is next in the bytes that have come, `None` when more of them are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Part<M>>, Status> {
        loop {
            match &mut self.state {
                State::Head(head) => {
                    take(&mut self.input, head, HEAD);
                    if head.len() < HEAD {
                        return Ok(None);
                    }
                    let len = message_len(head, self.max_message)?;
                    let begun = BytesMut::new();
                    self.state = match self.field {
                        Some(_) => State::Begin { len, begun },
                        None => State::Collect { len, collected: begun },
                    };
                }
                State::Begin { len, begun } => {
                    let Some(field) = self.field else {
                        let (len, collected) = (*len, std::mem::take(begun));
                        self.state = State::Collect { len, collected };
                        continue;
                    };
                    // Mostly all of it is there at once; else it is looked at byte by byte.
                    let beginning = match begun.is_empty() {
                        true => Beginning::of(&self.input, *len, field),
                        false => Beginning::of(begun, *len, field),
                    };
                    match beginning {
                        Beginning::Segment { offset, left, used } => {
                            if begun.is_empty() {
                                self.input.advance(used);
                            }
                            self.state = State::Slices { offset, left };
                        }
                        Beginning::Other => {
                            let (len, collected) = (*len, std::mem::take(begun));
                            self.state = State::Collect { len, collected };
                        }
                        Beginning::TooShort if self.input.is_empty() => return Ok(None),
                        Beginning::TooShort => {
                            // The input is part of a beginning that was looked at, or one byte more is.
                            let more = begun.len() + 1;
                            take(&mut self.input, begun, more);
                        }
                    }
                }
                State::Collect { len, collected } => {
                    let missing = *len - collected.len();
                    let message = if collected.is_empty() && self.input.len() >= missing {
                        M::decode(self.input.split_to(missing))
                    } else {
                        collected.reserve(missing.min(FIRST_ROOM));
                        take(&mut self.input, collected, *len);
                        if collected.len() < *len {
                            return Ok(None);
                        }
                        M::decode(std::mem::take(collected).freeze())
                    };
                    self.state = State::Head(BytesMut::new());
                    let message = message.map_err(|error| Status::internal(error.to_string()))?;
                    return Ok(Some(Part::Message(message)));
                }
                State::Slices { offset, left } => {
                    if self.input.is_empty() {
                        return Ok(None);
                    }
                    let data = self.input.split_to(self.input.len().min(*left));
                    let slice = Segment { offset: *offset, data };
                    *left -= slice.data.len();
                    // A source may say any offset; what it says then is wrong anyway.
                    *offset = offset.saturating_add(slice.data.len() as u64);
                    if *left == 0 {
                        self.state = State::Head(BytesMut::new());
                    }
                    return Ok(Some(Part::Slice(slice)));
                }
            }
        }
    }

    /// Says whether the stream may end here.
    pub(crate) fn finish(&self) -> Result<(), Status> {
        match &self.state {
            State::Head(head) if head.is_empty() => Ok(()),
            _ => Err(Status::internal("the stream ended inside of a message")),
        }
    }
}

/// Moves bytes until there are `len` of them, or all are moved.
fn take(from: &mut Bytes, to: &mut BytesMut, len: usize) {
    let more = from.split_to(from.len().min(len.saturating_sub(to.len())));
    to.extend_from_slice(&more);
}

fn message_len(head: &[u8], max_message: usize) -> Result<usize, Status> {
    let mut head = head;
    match head.get_u8() {
        0 => {}
        1 => return Err(Status::internal("a compressed message came, but none was agreed on")),
        _ => return Err(Status::internal("what came is not a message")),
    }
    let len = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
    if len > max_message {
        return Err(Status::out_of_range(format!(
            "a message of {len} bytes came, at most {max_message} are taken"
        )));
    }
    Ok(len)
}

/// What a message is, as far as its first bytes say.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// A segment and nothing else, its bytes last: after so many bytes they follow.
    Segment { offset: u64, left: usize, used: usize },
    /// Something else.
    Other,
    /// More bytes will tell.
    TooShort,
}

impl Beginning {
    /// Looks at the first bytes of a message of `len` bytes. What follows the message does not matter.
    fn of(bytes: &[u8], len: usize, field: SegmentField) -> Self {
        let here = &bytes[..bytes.len().min(len)];
        match Self::find(here, len, field) {
            // All of it is there, and it is no segment.
            Self::TooShort if here.len() == len => Self::Other,
            found => found,
        }
    }

    fn find(bytes: &[u8], len: usize, field: SegmentField) -> Self {
        let mut rest = bytes;
        let used = |rest: &[u8]| bytes.len() - rest.len();
        let ends_message = |rest: &[u8], claimed: u64| {
            u64::try_from(len - used(rest)).is_ok_and(|left| left == claimed)
        };
        let Some(tag) = next_byte(&mut rest) else {
            return Self::TooShort;
        };
        if tag != field.tag() {
            return Self::Other;
        }
        match next_number(&mut rest) {
            Err(beginning) => return beginning,
            Ok(inner) if !ends_message(rest, inner) => return Self::Other,
            Ok(_) => {}
        }
        let Some(mut tag) = next_byte(&mut rest) else {
            return Self::TooShort;
        };
        let mut offset = 0;
        if tag == OFFSET_TAG {
            offset = match next_number(&mut rest) {
                Err(beginning) => return beginning,
                Ok(offset) => offset,
            };
            tag = match next_byte(&mut rest) {
                None => return Self::TooShort,
                Some(tag) => tag,
            };
        }
        if tag != DATA_TAG {
            return Self::Other;
        }
        match next_number(&mut rest) {
            Err(beginning) => beginning,
            Ok(data) if data == 0 || !ends_message(rest, data) => Self::Other,
            Ok(_) => Self::Segment { offset, left: len - used(rest), used: used(rest) },
        }
    }
}

fn next_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// A variable-length number.
fn next_number(bytes: &mut &[u8]) -> Result<u64, Beginning> {
    /// No number is longer.
    const MAX: usize = 10;

    let is_whole = bytes.iter().take(MAX).any(|byte| byte & 0x80 == 0);
    if !is_whole && bytes.len() < MAX {
        return Err(Beginning::TooShort);
    }
    // One that is wrong is left to the library.
    decode_varint(bytes).map_err(|_| Beginning::Other)
}

#[cfg(test)]
mod tests;
