//! Reading a content while it is downloaded.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use p2pshare_core::content::ContentId;

/// Why a content cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody is logged in, and it is not on this machine.
    #[error("nobody is logged in, and content {0} is not on this machine: log in first")]
    LoggedOut(ContentId),
    /// It does not exist, or not for this user.
    #[error("content {0} is not shared by anybody you can see: search again for what is there now")]
    NotFound(ContentId),
    /// Nobody gives it at the moment.
    #[error("no source gives the content at the moment: {0}")]
    NoSource(String),
    /// It could not be fetched.
    #[error("the content could not be fetched: {0}")]
    Failed(String),
    /// The file that it was read from is not there any more, or has changed.
    #[error("the file with the content has changed while it was read: ask for it again")]
    Changed,
    /// The range is not in the content.
    #[error("the content has {len} bytes, so there is nothing at {start}")]
    Range {
        /// Where the range begins.
        start: u64,
        /// How long the content is.
        len: u64,
    },
}

/// Bytes of a content in order.
pub type ByteStream = BoxStream<'static, Result<Bytes, ReadError>>;

/// Reads any part of a content, verified, while it may still be on its way. A clone is another reader of the same.
///
/// What is read next is fetched before the rest. As long as a reader or one of its streams lives the content is kept.
#[derive(Clone, Debug)]
pub struct ContentReader {}

impl ContentReader {
    /// What is read.
    pub fn content(&self) -> ContentId {
        unimplemented!()
    }

    /// How many bytes the content has: proven, not told.
    pub fn len(&self) -> u64 {
        0
    }

    /// Whether the content has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a range, which is cut to the content. Nothing is fetched before the stream is polled; memory is that
    /// of two pieces, however slowly it is read.
    ///
    /// Cancellation: dropping the stream ends it, and what it wanted first is wanted no more than the rest.
    ///
    /// # Errors
    ///
    /// [`ReadError::Range`] when the range begins behind the end. The stream ends after its first error.
    pub fn read(&self, range: Range<u64>) -> Result<ByteStream, ReadError> {
        let _ = range;
        Err(ReadError::Changed)
    }
}
