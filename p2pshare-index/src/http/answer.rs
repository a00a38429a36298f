//! Answers in bounded memory, however slowly they are read.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody, to_bytes},
    response::Response,
};
use bytes::Bytes;
use p2pshare_core::api::ProblemKind;

use super::{
    client::ClientAddr,
    failure::Failure,
    share::{Share, Shared, UNIT},
};

/// An answer of at most so many bytes is given in any case: it may say what was changed.
const SMALL: usize = 4 * UNIT;

/// Memory for the answers that were not sent yet.
pub(super) struct AnswerMemory(Arc<Shared>);

/// The bytes of an answer, and their part of the memory until the last of them was sent.
struct Held {
    bytes: Bytes,
    _memory: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerMemory {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Shared::of_memory(bytes))
    }

    /// Room for a small answer, which is taken before anything is done; an error if there are too many already.
    pub(super) fn admit(&self, client: ClientAddr) -> Result<Share, Failure> {
        self.0.take(client, 1).map_err(|_| unread())
    }
}

/// The same answer, which counts for as long as it waits for its client; an error if it is large and there are too many.
pub(super) async fn hold(mut memory: Share, answer: Response) -> Result<Response, Failure> {
    let (parts, body) = answer.into_parts();
    // What is made while it is sent is not held as a whole.
    let Some(length) = body.size_hint().exact().and_then(|length| length.try_into().ok()) else {
        return Ok(Response::from_parts(parts, body));
    };
    if memory.grow_to(usize::div_ceil(length, UNIT)).is_err() && length > SMALL {
        return Err(unread());
    }
    // Its length was known, so all of it is there.
    match to_bytes(body, length).await {
        Ok(bytes) => {
            let held = Bytes::from_owner(Held { bytes, _memory: memory });
            Ok(Response::from_parts(parts, Body::from(held)))
        }
        Err(error) => {
            tracing::error!(%error, "an answer ended early");
            Err(Failure::new(ProblemKind::Internal, "the index failed")
                .hint("tell an operator of this index the request id"))
        }
    }
}

fn unread() -> Failure {
    Failure::new(
        ProblemKind::Unavailable,
        "the index holds as many answers as it can that were not read yet",
    )
    .hint("read the answers to earlier requests, then try again")
    .retry_after_secs(1)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn an_answer_counts_until_its_last_byte_is_gone() {
        let memory = AnswerMemory::new(40 * UNIT);
        let ask = async |client: &str, bytes: usize| {
            let answer = Body::from(vec![b'x'; bytes]).into_response();
            let held = async {
                hold(memory.admit(ClientAddr(Some(client.parse().unwrap())))?, answer).await
            };
            held.await.unwrap_or_else(|full: Failure| full.into_response())
        };
        let first = ask("192.0.2.1", 6 * UNIT).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.body().size_hint().exact(), Some(6 * UNIT as u64));
        // What a connection has taken over and not sent is held by it.
        let taken = to_bytes(first.into_body(), usize::MAX).await.unwrap();
        let part = taken.slice(1..2);
        drop(taken);
        assert_eq!(ask("192.0.2.1", 6 * UNIT).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask("198.51.100.1", 6 * UNIT).await.status(), StatusCode::OK);
        // Small ones are given as long as there is room for another, and refused before anything is done.
        let mut small = Vec::new();
        for bytes in [2 * UNIT, SMALL, 1] {
            small.push(ask("192.0.2.1", bytes).await);
        }
        assert!(small.iter().all(|answer| answer.status() == StatusCode::OK));
        assert_eq!(ask("192.0.2.1", 1).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(small);
        drop(part);
        assert_eq!(ask("192.0.2.1", 10 * UNIT).await.status(), StatusCode::OK);
    }
}
