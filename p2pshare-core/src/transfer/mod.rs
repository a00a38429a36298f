//! Chunked transfer: sources that pieces come from, sinks that they go to.
//!
//! Nothing here knows who is allowed what: a server asks an injected [`TransferGuard`].

mod error;
mod guard;
mod push;
mod sink;
mod source;

pub use error::{SinkError, TransferError};
pub use guard::{AccessDenied, AccessRequest, Admission, TransferGuard};
pub use push::{PushOffer, PushReceiver, PushTarget};
pub use sink::PieceSink;
pub use source::{FetchEvent, HaveStream, HaveUpdate, PieceSource, Segment, SegmentStream};
