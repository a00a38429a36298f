//! A remote source keeps the laws of a source: the public suites, through a server and a client.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::content::{PieceRun, hash_bytes};
use p2pshare_core::testing::source::SourceFixture;
use p2pshare_core::testing::source_partial::PartialFixture;
use p2pshare_core::transfer::MemorySource;

use crate::support::{Server, Setup, source_of};

async fn start(memory: &MemorySource, tls: bool) -> (Server, p2pshare_peer::net::RemoteSource) {
    let setup = if tls { Setup::tls(memory) } else { Setup::plain(memory) };
    let server = setup.start().await;
    let peer = if tls { server.tls() } else { server.plain() };
    (server, source_of(&peer, "anna"))
}

async fn whole(contents: Vec<Bytes>, tls: bool) -> SourceFixture {
    let memory = MemorySource::new();
    for content in contents {
        memory.insert(content);
    }
    let (server, source) = start(&memory, tls).await;
    SourceFixture { source: Arc::new(source), keep: Box::new(server) }
}

async fn partial(content: Bytes, tls: bool) -> PartialFixture {
    let memory = MemorySource::new();
    let manifest = hash_bytes(&content);
    memory.insert_empty(manifest.clone());
    let (server, source) = start(&memory, tls).await;
    let gain = move |piece| {
        assert!(memory.gain(&manifest.id(), &content, PieceRun::from(piece)));
        async {}.boxed()
    };
    PartialFixture { source: Arc::new(source), gain: Box::new(gain), keep: Box::new(server) }
}

mod plain_whole {
    async fn make(contents: Vec<bytes::Bytes>) -> super::SourceFixture {
        super::whole(contents, false).await
    }
    p2pshare_core::source_conformance!(make);
}

mod plain_partial {
    async fn make(content: bytes::Bytes) -> super::PartialFixture {
        super::partial(content, false).await
    }
    p2pshare_core::partial_source_conformance!(make);
}

mod tls_whole {
    async fn make(contents: Vec<bytes::Bytes>) -> super::SourceFixture {
        super::whole(contents, true).await
    }
    p2pshare_core::source_conformance!(make);
}

mod tls_partial {
    async fn make(content: bytes::Bytes) -> super::PartialFixture {
        super::partial(content, true).await
    }
    p2pshare_core::partial_source_conformance!(make);
}
