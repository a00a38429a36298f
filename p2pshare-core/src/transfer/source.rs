//! The trait of whatever has pieces: a local file, memory, another peer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::{SmallContent, TransferError};
use crate::content::{ContentId, Manifest, PieceRun};

/// Something that has pieces of contents.
///
/// Both ends of a transfer are a `PieceSource`: a server adapts the wire to any source, a client makes a remote source
/// look local. So everything above works alike on memory, files and the network.
///
/// # Laws
///
/// - A source never says that it has a piece which it cannot deliver at that moment.
/// - [`fetch`](Self::fetch) yields the bytes of the runs in the order asked, each byte once; a segment is never empty
///   (but the one of an empty content) and never crosses the border of a piece. After the last segment the stream
///   ends. [`FetchEvent::Queued`] comes only before the first segment.
/// - [`FetchEvent::Chosen`] comes only when others were named to [`fetch_any`](Self::fetch_any), at most once, before the
///   first segment and after the last place in the queue; it names as many different pieces as were asked for, out of
///   those that were named, and these then come. Without it what was asked for comes.
/// - A content that the source does not have is [`TransferError::NotFound`]; a piece that it does not have (yet) is
///   [`TransferError::NotHeld`]; a run outside of the content is [`TransferError::Protocol`].
/// - A content whose bytes are no longer what they were is [`TransferError::Changed`], never wrong bytes on purpose.
///   A receiver verifies all the same: bytes from a `PieceSource` are not to be trusted.
/// - After an error a stream ends.
/// - **Cancellation**: dropping a future or stream ends its work and frees what it held, an upload slot among it.
/// - **Memory** is bounded by the source's own settings, not by the size of the content or the length of the runs.
#[async_trait]
pub trait PieceSource: Send + Sync {
    /// The manifest of a content. It has been verified against the id, unless the content has at most one piece: then
    /// the length is the source's word, and the hash of the bytes decides.
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError>;

    /// What the source holds of a content: first all it has, then what it gains, until it holds everything. Gains that
    /// nobody has taken yet are joined to one update. A source that gives up gaining ends it with
    /// [`TransferError::Unavailable`].
    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError>;

    /// The bytes of runs of pieces; no runs: the whole content.
    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError>;

    /// The same, and `others` would do as well as `runs`: the source may give any of them instead, as many pieces in all
    /// as `runs` has. A source that many download from gives each of them something else this way; one that does not care
    /// gives `runs`. A wrapper hands it on.
    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let _ = others;
        self.fetch(content, runs).await
    }

    /// Several contents of at most one piece, whole, one after the other as if they were one: offsets count from where the
    /// first begins ([`many_offsets`](super::many_offsets)), and a segment lies within one of them. A content that the
    /// source does not have, that has another length or cannot be read is left out: nothing more comes of it, and the next
    /// one comes where it would come otherwise. So is, in a source that downloads, what it does not have whole.
    ///
    /// This is for many small contents: they take a call, and what goes with it, together. A source that does not care
    /// answers [`TransferError::Unsupported`], which whoever asks must be ready for. A wrapper hands it on.
    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        let _ = contents;
        Err(TransferError::Unsupported)
    }
}

/// A shared source is a source.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: PieceSource + ?Sized> PieceSource for Arc<S> {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        (**self).manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        (**self).have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        (**self).fetch(content, runs).await
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        (**self).fetch_any(content, runs, others).await
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        (**self).fetch_many(contents).await
    }
}

/// What [`PieceSource::have`] answers.
pub type HaveStream = BoxStream<'static, Result<HaveUpdate, TransferError>>;

/// What [`PieceSource::fetch`] answers.
pub type SegmentStream = BoxStream<'static, Result<FetchEvent, TransferError>>;

/// Pieces that a source has gained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaveUpdate {
    /// Pieces gained since the update before; in the first update all that are held.
    pub gained: Vec<PieceRun>,
    /// Every piece is held: no update follows.
    pub complete: bool,
}

/// A step of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// The source is busy; so many requests are served before this one.
    Queued {
        /// 1 or more.
        position: u32,
    },
    /// What it gives of what was left to it, in this order.
    Chosen {
        /// As many pieces as were asked for.
        runs: Vec<PieceRun>,
    },
    /// Bytes.
    Segment(Segment),
}

impl FetchEvent {
    /// The same where what it is about begins so many bytes later.
    #[must_use]
    pub fn later_by(self, bytes: u64) -> Self {
        match self {
            Self::Segment(Segment { offset, data }) => {
                Self::Segment(Segment { offset: offset.saturating_add(bytes), data })
            }
            other => other,
        }
    }
}

/// A slice of a content, inside one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in the content it begins, in bytes.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that refuses everything, and says which call it was.
    struct Refusing;

    fn refused<T>(call: &str) -> Result<T, TransferError> {
        Err(TransferError::Refused(call.to_owned()))
    }

    #[async_trait]
    impl PieceSource for Refusing {
        async fn manifest(&self, _: &ContentId) -> Result<Manifest, TransferError> {
            refused("manifest")
        }

        async fn have(&self, _: &ContentId) -> Result<HaveStream, TransferError> {
            refused("have")
        }

        async fn fetch(
            &self,
            _: &ContentId,
            _: &[PieceRun],
        ) -> Result<SegmentStream, TransferError> {
            refused("fetch")
        }

        async fn fetch_any(
            &self,
            _: &ContentId,
            _: &[PieceRun],
            _: &[PieceRun],
        ) -> Result<SegmentStream, TransferError> {
            refused("fetch_any")
        }

        async fn fetch_many(&self, _: &[SmallContent]) -> Result<SegmentStream, TransferError> {
            refused("fetch_many")
        }
    }

    #[tokio::test]
    async fn a_shared_source_hands_on_each_call() {
        async fn check(source: impl PieceSource) {
            let id = ContentId::of(b"any");
            let errors = [
                source.manifest(&id).await.err(),
                source.have(&id).await.err(),
                source.fetch(&id, &[]).await.err(),
                source.fetch_any(&id, &[], &[]).await.err(),
                source.fetch_many(&[]).await.err(),
            ];
            let calls = ["manifest", "have", "fetch", "fetch_any", "fetch_many"];
            for (error, call) in errors.into_iter().zip(calls) {
                let handed_on = matches!(&error, Some(TransferError::Refused(it)) if it == call);
                assert!(handed_on, "{call}: {error:?}");
            }
        }
        check(Arc::new(Refusing)).await;
        check(Arc::new(Refusing) as Arc<dyn PieceSource>).await;
    }
}
