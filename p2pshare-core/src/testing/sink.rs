//! The laws of [`PieceSink`].
//!
//! `make` is an async function that gives a new sink for the manifest it is given.

use std::{any::Any, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::join_all};
use tokio::time::timeout;

use super::{SIZES, sample, source::layout};
use crate::{
    content::{Manifest, PIECE_LEN, PieceIndex, PieceMismatch, hash_bytes},
    transfer::{PieceSink, SinkError},
};

/// What takes longer hangs.
const LONG: Duration = Duration::from_secs(60);

/// A sink under test.
pub struct SinkFixture {
    /// The sink.
    pub sink: Arc<dyn PieceSink>,
    /// What is there under the final name, if anything is.
    pub read: Box<dyn Fn() -> Option<Bytes> + Send + Sync>,
    /// What must live as long as it does, such as its folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Declares a test for each law of a sink; takes the name of the function that makes one.
#[macro_export]
macro_rules! sink_conformance {
    ($make:path) => {
        $crate::sink_conformance!(@laws $make:
            pieces_make_the_content,
            slices_may_be_of_any_length,
            a_new_sink_holds_nothing,
            wrong_pieces_change_nothing,
            a_piece_may_come_twice,
            a_held_piece_takes_any_bytes,
            pieces_may_come_at_once,
            a_put_that_nobody_polls_holds_up_no_other,
            an_incomplete_content_is_not_finished,
            finishing_again_is_fine,
            dropped_futures_do_no_harm);
    };
    (@laws $make:path: $($law:ident),*) => {
        $(#[tokio::test]
        async fn $law() {
            $crate::testing::sink::$law(&$make).await;
        })*
    };
}

/// All laws, one after the other.
pub async fn sink_conformance(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    pieces_make_the_content(make).await;
    slices_may_be_of_any_length(make).await;
    a_new_sink_holds_nothing(make).await;
    wrong_pieces_change_nothing(make).await;
    a_piece_may_come_twice(make).await;
    a_held_piece_takes_any_bytes(make).await;
    pieces_may_come_at_once(make).await;
    a_put_that_nobody_polls_holds_up_no_other(make).await;
    an_incomplete_content_is_not_finished(make).await;
    finishing_again_is_fine(make).await;
    dropped_futures_do_no_harm(make).await;
}

/// All pieces, in any order, make the content, which has its final name only when it is finished.
pub async fn pieces_make_the_content(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    for len in SIZES {
        let content = sample(len, len);
        let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
        for piece in layout(&content).all().iter().rev() {
            assert_eq!(read(), None);
            put(&*sink, &content, piece).await;
            assert!(sink.held().contains(piece));
        }
        assert!(sink.held().is_full());
        assert_eq!(read(), None, "the final name is there before the end");
        sink.finish().await.expect("all pieces are there");
        assert!(read().expect("it is finished") == content, "{len} bytes");
    }
}

/// A piece may come in slices of any length, empty ones among them.
pub async fn slices_may_be_of_any_length(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(300_000, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    let mut slices = vec![Bytes::new(), content.slice(..1)];
    slices.extend(content[1..].chunks(77).map(|slice| content.slice_ref(slice)));
    slices.push(Bytes::new());
    let result = sink.put(PieceIndex(0), slices).await;
    result.expect("the piece is right");
    sink.finish().await.expect("all pieces are there");
    assert!(read().expect("it is finished") == content);
}

/// A new sink holds nothing; only an empty content is complete from the start.
pub async fn a_new_sink_holds_nothing(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    for len in SIZES {
        let manifest = hash_bytes(&sample(len, len));
        let fixture = make(manifest.clone()).await;
        assert_eq!(fixture.sink.manifest(), &manifest);
        let held = fixture.sink.held();
        assert_eq!(held.piece_count(), manifest.layout().piece_count());
        assert_eq!(held.is_empty(), len > 0);
    }
}

/// What is not the piece is refused, and changes nothing.
pub async fn wrong_pieces_change_nothing(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(2 * PIECE_LEN + 100, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    let last = piece(&content, PieceIndex(2));
    let mut flipped = last.to_vec();
    flipped[99] ^= 1;
    let wrong = [
        (0, piece(&content, PieceIndex(1))),
        (1, piece(&content, PieceIndex(0))),
        (2, flipped.into()),
        (2, last.slice(..99)),
        (2, [&last[..], b"x"].concat().into()),
        (2, Bytes::new()),
        (3, Bytes::new()),
        (u32::MAX, last),
    ];
    for (index, data) in wrong {
        let result = sink.put(PieceIndex(index), vec![data]).await;
        assert!(matches!(result, Err(SinkError::Mismatch(_))), "{result:?}");
        assert!(sink.held().is_empty());
    }
    let result = sink.put(PieceIndex(3), vec![Bytes::new()]).await;
    assert!(matches!(result, Err(SinkError::Mismatch(PieceMismatch::NoSuchPiece { .. }))));
    for piece in layout(&content).all().iter() {
        put(&*sink, &content, piece).await;
    }
    sink.finish().await.expect("all pieces are there");
    assert!(read().expect("it is finished") == content);
}

/// A piece that is held may come again, also after the end.
pub async fn a_piece_may_come_twice(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(PIECE_LEN + 1, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    for index in [0, 0, 1] {
        put(&*sink, &content, PieceIndex(index)).await;
    }
    sink.finish().await.expect("all pieces are there");
    put(&*sink, &content, PieceIndex(1)).await;
    assert!(read().expect("it is finished") == content);
}

/// A piece that is held takes any bytes and stays as it is, also after the end, and that of an empty content.
pub async fn a_held_piece_takes_any_bytes(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    for len in [0, 1, PIECE_LEN + 5] {
        let content = sample(len, 1);
        let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
        let pieces: Vec<_> = layout(&content).all().iter().collect();
        for piece in &pieces {
            put(&*sink, &content, *piece).await;
        }
        let put_any = async || {
            for piece in &pieces {
                for len in [0, 1, PIECE_LEN, PIECE_LEN + 1] {
                    let result = sink.put(*piece, vec![sample(len, 2), Bytes::new()]).await;
                    result.expect("the piece is held");
                }
                sink.put(*piece, Vec::new()).await.expect("the piece is held");
            }
        };
        put_any().await;
        assert!(sink.held().is_full());
        sink.finish().await.expect("all pieces are there");
        put_any().await;
        assert!(read().expect("it is finished") == content, "{len} bytes");
    }
}

/// Pieces may be put from several tasks at once, the same one too.
pub async fn pieces_may_come_at_once(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(5 * PIECE_LEN, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    let pieces = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4].map(PieceIndex);
    join_all(pieces.map(|piece| put(&*sink, &content, piece))).await;
    join_all([sink.finish(), sink.finish()])
        .await
        .into_iter()
        .for_each(|result| result.expect("all pieces are there"));
    assert!(read().expect("it is finished") == content);
}

/// While pieces are missing nothing is finished, and the error says how many.
pub async fn an_incomplete_content_is_not_finished(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(3 * PIECE_LEN, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    put(&*sink, &content, PieceIndex(1)).await;
    let result = sink.finish().await;
    let named = matches!(result, Err(SinkError::Incomplete { missing: 2 }));
    assert!(named, "{result:?}");
    assert_eq!(read(), None);
    put(&*sink, &content, PieceIndex(0)).await;
    put(&*sink, &content, PieceIndex(2)).await;
    sink.finish().await.expect("all pieces are there");
}

/// Whoever begins to put pieces and then waits for something else keeps nobody from putting others.
pub async fn a_put_that_nobody_polls_holds_up_no_other(
    make: &impl AsyncFn(Manifest) -> SinkFixture,
) {
    let pieces = 40;
    let content = sample(pieces * PIECE_LEN, 1);
    let SinkFixture { sink, read: _, keep: _keep } = make(hash_bytes(&content)).await;
    let all: Vec<_> = layout(&content).all().iter().collect();
    let (last, first) = all.split_last().expect("it has many pieces");
    let mut begun: Vec<_> =
        first.iter().map(|index| sink.put(*index, vec![piece(&content, *index)])).collect();
    for put in &mut begun {
        // Polled once, and then no more.
        let _ = put.now_or_never();
    }
    let put = timeout(LONG, put(&*sink, &content, *last)).await;
    put.expect("puts that nobody polls hold up another");
}

/// Finishing again changes nothing.
pub async fn finishing_again_is_fine(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(10, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    put(&*sink, &content, PieceIndex(0)).await;
    for _ in 0..3 {
        sink.finish().await.expect("all pieces are there");
        assert!(read().expect("it is finished") == content);
    }
}

/// Futures that are dropped in the middle leave a piece held or not, the content finished or not, nothing between.
pub async fn dropped_futures_do_no_harm(make: &impl AsyncFn(Manifest) -> SinkFixture) {
    let content = sample(3 * PIECE_LEN, 1);
    let SinkFixture { sink, read, keep: _keep } = make(hash_bytes(&content)).await;
    for index in layout(&content).all().iter() {
        // Polled once: it may or may not have begun to write.
        let _ = sink.put(index, vec![piece(&content, index)]).now_or_never();
        put(&*sink, &content, index).await;
    }
    let _ = sink.finish().now_or_never();
    assert!(read().is_none_or(|found| found == content));
    sink.finish().await.expect("all pieces are there");
    assert!(read().expect("it is finished") == content);
}

async fn put(sink: &dyn PieceSink, content: &Bytes, index: PieceIndex) {
    let result = sink.put(index, vec![piece(content, index)]).await;
    result.expect("the piece is right");
}

fn piece(content: &Bytes, index: PieceIndex) -> Bytes {
    let layout = layout(content);
    let start = usize::try_from(layout.piece_offset(index)).expect("a content in memory");
    content.slice(start..start + layout.piece_len(index))
}
