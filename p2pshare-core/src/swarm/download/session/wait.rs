//! Waiting for what may not be there: then for ever.

use std::future;

use futures::{StreamExt, future::BoxFuture};
use tokio::time::{Instant, sleep_until};

use super::Request;
use crate::transfer::{FetchEvent, TransferError};

pub(super) async fn advance(
    request: &mut Option<Request>,
    read: bool,
) -> Option<Result<FetchEvent, TransferError>> {
    match request {
        Some(request) => request.advance(read).await,
        None => future::pending().await,
    }
}

pub(super) async fn next<S: StreamExt + Unpin>(stream: &mut Option<S>) -> Option<S::Item> {
    match stream {
        Some(stream) => stream.next().await,
        None => future::pending().await,
    }
}

pub(super) async fn wait<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => future::pending().await,
    }
}

pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}
