//! Chunked transfer: sources that pieces come from, sinks that they go to.
//!
//! Nothing here knows who is allowed what: a server asks an injected [`TransferGuard`], and serves what a
//! [`GuardedSource`] has for whom it lets in.
//!
//! - [`PieceSource`] and [`PieceSink`] are the traits, with the laws that every one keeps.
//! - [`PieceAssembler`], [`fetch_small`] and [`receive_many`] receive: they check what a source sends.
//! - [`MemorySource`] and [`MemorySink`] keep contents in memory, [`FileSource`] serves files where they lie, and
//!   [`FileSink`] is a download that survives crashes.
//! - [`UploadSlots`] and [`RateLimit`] share out what a server has; [`Spread`] chooses what it gives to whom.
//!   [`Throttled`] keeps a source to a limit.

mod assembler;
mod error;
mod file;
mod guard;
mod guarded;
mod held;
mod many;
mod memory;
mod push;
mod queue_news;
mod rate;
mod runs;
mod sink;
mod slices;
mod slots;
mod small;
mod source;
mod spread;
mod throttled;

pub use assembler::PieceAssembler;
pub use error::{SinkError, TransferError};
pub use file::{
    Committer, Durability, EarlierParts, FileSink, FileSource, FileStamp, KnownParts,
    PartialSource, ReadOptions, ResumeProgress, SharedFile, SinkOptions, StampCheck, free_space,
    give_many, read_runs,
};
pub use guard::{AccessDenied, AccessRequest, Admission, TransferGuard};
pub use guarded::{GuardedSource, OpenSource};
pub use many::{Arrival, ManyEvent, SmallContent, many_offsets, receive_many};
pub use memory::{MemorySink, MemorySource};
pub use push::{PushOffer, PushReceiver, PushTarget};
pub use queue_news::QueueNews;
pub use rate::RateLimit;
pub use runs::wanted_runs;
pub use sink::PieceSink;
pub use slots::{ReservedSlots, SlotRequest, Turn, UploadSlot, UploadSlots};
pub use small::{SmallFetch, SmallNews, fetch_small};
pub use source::{FetchEvent, HaveStream, HaveUpdate, PieceSource, Segment, SegmentStream};
pub use spread::{Spread, Spreading};
pub use throttled::Throttled;
