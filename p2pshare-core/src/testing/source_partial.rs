//! The laws of [`PieceSource`], for contents of which pieces come one after the other.
//!
//! `make` is an async function that gives a source which knows the content it is given and holds nothing of it yet.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};

use super::{
    sample,
    source::{fetch, fetch_error, run},
};
use crate::{
    content::{ContentId, PIECE_LEN, PieceIndex, hash_bytes},
    transfer::{HaveUpdate, PieceSource, TransferError},
};

/// A source under test that holds a content in part.
pub struct PartialFixture {
    /// The source.
    pub source: Arc<dyn PieceSource>,
    /// Makes it hold one more piece.
    pub gain: Box<dyn Fn(PieceIndex) -> BoxFuture<'static, ()> + Send + Sync>,
    /// What must live as long as it does, such as its folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Declares a test for each law of a source of partial contents; takes the name of the function that makes one.
#[macro_export]
macro_rules! partial_source_conformance {
    ($make:path) => {
        $crate::partial_source_conformance!(@laws $make:
            the_manifest_is_there_before_the_pieces,
            what_is_gained_is_told,
            what_is_not_held_is_refused,
            what_was_told_can_be_fetched);
    };
    (@laws $make:path: $($law:ident),*) => {
        $(#[tokio::test]
        async fn $law() {
            $crate::testing::source_partial::$law(&$make).await;
        })*
    };
}

/// All laws, one after the other.
pub async fn partial_source_conformance(make: &impl AsyncFn(Bytes) -> PartialFixture) {
    the_manifest_is_there_before_the_pieces(make).await;
    what_is_gained_is_told(make).await;
    what_is_not_held_is_refused(make).await;
    what_was_told_can_be_fetched(make).await;
}

/// Nothing held does not mean not known.
pub async fn the_manifest_is_there_before_the_pieces(make: &impl AsyncFn(Bytes) -> PartialFixture) {
    let content = sample(2 * PIECE_LEN, 1);
    let fixture = make(content.clone()).await;
    let manifest = fixture.source.manifest(&ContentId::of(&content)).await;
    assert_eq!(manifest.expect("the content is known"), hash_bytes(&content));
}

/// The first update has all that is held, the next what was gained since, each piece once, the last completes.
pub async fn what_is_gained_is_told(make: &impl AsyncFn(Bytes) -> PartialFixture) {
    let content = sample(4 * PIECE_LEN, 1);
    let fixture = make(content.clone()).await;
    (fixture.gain)(PieceIndex(2)).await;
    let have = fixture.source.have(&ContentId::of(&content)).await;
    let mut have = have.expect("the content is known");
    let update = |gained, complete| HaveUpdate { gained, complete };
    let mut next = async || {
        let next = have.next().await.expect("the content is not complete");
        next.expect("nothing fails")
    };
    assert_eq!(next().await, update(vec![run(2, 1)], false));
    (fixture.gain)(PieceIndex(0)).await;
    assert_eq!(next().await, update(vec![run(0, 1)], false));
    (fixture.gain)(PieceIndex(1)).await;
    assert_eq!(next().await, update(vec![run(1, 1)], false));
    (fixture.gain)(PieceIndex(3)).await;
    assert_eq!(next().await, update(vec![run(3, 1)], true));
    assert!(have.next().await.is_none());
}

/// A piece that is not held is named in the refusal, also when others that are held were asked for with it.
pub async fn what_is_not_held_is_refused(make: &impl AsyncFn(Bytes) -> PartialFixture) {
    let content = sample(3 * PIECE_LEN, 1);
    let fixture = make(content.clone()).await;
    (fixture.gain)(PieceIndex(0)).await;
    let id = ContentId::of(&content);
    for runs in [&[][..], &[run(1, 1)], &[run(0, 2)]] {
        let error = fetch_error(&*fixture.source, &id, runs).await;
        let named = matches!(error, Some(TransferError::NotHeld(PieceIndex(1))));
        assert!(named, "{error:?}");
    }
}

/// A piece can be fetched from the moment on that it is told of.
pub async fn what_was_told_can_be_fetched(make: &impl AsyncFn(Bytes) -> PartialFixture) {
    let content = sample(3 * PIECE_LEN + 9, 1);
    let fixture = make(content.clone()).await;
    let have = fixture.source.have(&ContentId::of(&content)).await;
    let mut have = have.expect("the content is known");
    let gaining = async {
        for piece in [3, 1, 0, 2] {
            (fixture.gain)(PieceIndex(piece)).await;
        }
    };
    let fetching = async {
        while let Some(update) = have.next().await {
            for run in update.expect("nothing fails").gained {
                let got = fetch(&*fixture.source, &content, &[run]).await;
                assert!(!got.is_empty());
            }
        }
    };
    futures::join!(gaining.boxed(), fetching.boxed());
    assert!(fetch(&*fixture.source, &content, &[]).await == content);
}
