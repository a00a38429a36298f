//! Reading bodies in bounded memory.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use p2pshare_core::api::ProblemKind;

use super::{
    client::ClientAddr,
    failure::Failure,
    share::{Share, Shared, UNIT},
};

/// Memory for the bodies of all requests together.
pub(super) struct BodyMemory(Arc<Shared>);

/// A body, and its part of the memory until it is dropped.
pub(super) struct HeldBody {
    pub(super) bytes: Bytes,
    _memory: Share,
}

impl BodyMemory {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Shared::of_memory(bytes))
    }

    /// Reads a body of at most `max` bytes. Memory is taken as bytes come, so that a client holds as much of it as it
    /// has sent and no more.
    pub(super) async fn read(
        &self,
        client: ClientAddr,
        headers: &HeaderMap,
        mut body: Body,
        max: usize,
    ) -> Result<HeldBody, Failure> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max as u64) {
            return Err(too_large(max));
        }
        let mut bytes = BytesMut::new();
        let mut memory = self.0.take(client, 0).map_err(|_| no_memory())?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Failure::new(ProblemKind::InvalidRequest, format!("the body ended early: {error}"))
                    .hint("send the request again")
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > max {
                return Err(too_large(max));
            }
            memory.grow_to(length.div_ceil(UNIT)).map_err(|_| no_memory())?;
            bytes.extend_from_slice(&data);
        }
        Ok(HeldBody { bytes: bytes.freeze(), _memory: memory })
    }
}

fn too_large(max: usize) -> Failure {
    Failure::new(
        ProblemKind::TooLarge,
        format!("the body is larger than the {max} bytes that this call takes"),
    )
    .hint("send less in one request")
}

fn no_memory() -> Failure {
    Failure::new(ProblemKind::Unavailable, "the index holds as many request bodies as it can")
        .hint("try again in a moment")
        .retry_after_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_from(
        memory: &BodyMemory,
        client: &str,
        bytes: usize,
        max: usize,
    ) -> Result<HeldBody, u16> {
        let body = Body::from(vec![b'x'; bytes]);
        let client = ClientAddr(Some(client.parse().unwrap()));
        let read = memory.read(client, &HeaderMap::new(), body, max).await;
        read.map_err(|failure| failure.problem().status)
    }

    async fn read(memory: &BodyMemory, bytes: usize, max: usize) -> Result<HeldBody, u16> {
        read_from(memory, "192.0.2.1", bytes, max).await
    }

    #[tokio::test]
    async fn memory_is_bounded_and_comes_back() {
        let memory = BodyMemory::new(40 * UNIT);
        let first = read(&memory, 6 * UNIT, 8 * UNIT).await.unwrap();
        assert_eq!(first.bytes.len(), 6 * UNIT);
        assert_eq!(read(&memory, 6 * UNIT, 8 * UNIT).await.err(), Some(503));
        let _others = read_from(&memory, "198.51.100.1", 6 * UNIT, 8 * UNIT).await.unwrap();
        drop(first);
        assert!(read(&memory, 10 * UNIT, 10 * UNIT).await.is_ok());
    }

    #[tokio::test]
    async fn one_byte_too_many_is_too_large() {
        let memory = BodyMemory::new(1 << 20);
        assert!(read(&memory, 100, 100).await.is_ok());
        assert_eq!(read(&memory, 101, 100).await.err(), Some(413));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 101.into());
        let refused = memory.read(ClientAddr(None), &headers, Body::empty(), 100).await;
        assert!(refused.is_err(), "it is told from the length alone");
    }
}
