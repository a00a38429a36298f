//! gRPC for the calls that carry much: the bytes of a segment are neither copied on the way out nor put together on the
//! way in. On the wire it is gRPC like any other.
//!
//! A message is 5 bytes of head and then protobuf, which ends with the bytes of the segment, if it has one. So on the way
//! out they follow what comes before them as a part of their own, and on the way in they are handed on as they come.

mod incoming;
mod outgoing;
mod parse;
mod untaken;

pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{Encoded, OutgoingBody};
pub(crate) use parse::{Parser, Part, SegmentField};
pub(crate) use untaken::{Unsent, Untaken, WatchedBody};

/// The call whose answer carries segments.
pub(crate) const FETCH: &str = "/p2pshare.v1.Transfer/Fetch";
/// The other call whose answer carries them.
pub(crate) const FETCH_MANY: &str = "/p2pshare.v1.Transfer/FetchMany";
/// The call whose request carries segments.
pub(crate) const PUSH: &str = "/p2pshare.v1.Transfer/Push";

/// What precedes each message: whether it is compressed (never, here), and its length.
const HEAD: usize = 5;
/// Numbers of the fields of `Segment`, as tags.
const OFFSET_TAG: u8 = 1 << 3;
const DATA_TAG: u8 = (2 << 3) | 2;
