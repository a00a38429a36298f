//! The laws of sources and sinks, for all the implementations of this crate.

#![allow(clippy::unwrap_used)]

use std::{fs, sync::Arc};

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::{
    content::{Manifest, PieceIndex, hash_bytes},
    testing::{sink::SinkFixture, source::SourceFixture, source_partial::PartialFixture},
    transfer::{
        FileSink, FileSource, FileStamp, MemorySink, MemorySource, PieceSink, ReadOptions,
        SharedFile, SinkOptions,
    },
};
use tempfile::tempdir;

mod memory_source {
    p2pshare_core::source_conformance!(super::memory_source);
}
mod file_source {
    p2pshare_core::source_conformance!(super::file_source);
}
mod file_source_in_odd_segments {
    p2pshare_core::source_conformance!(super::odd_file_source);
}
mod shared_source {
    p2pshare_core::source_conformance!(super::shared_source);
}
mod partial_memory_source {
    p2pshare_core::partial_source_conformance!(super::partial_memory_source);
}
mod memory_sink_as_source {
    p2pshare_core::partial_source_conformance!(super::memory_sink_as_source);
}
mod file_sink_as_source {
    p2pshare_core::partial_source_conformance!(super::file_sink_as_source);
}
mod memory_sink {
    p2pshare_core::sink_conformance!(super::memory_sink);
}
mod shared_sink {
    p2pshare_core::sink_conformance!(super::shared_sink);
}
mod file_sink {
    p2pshare_core::sink_conformance!(super::file_sink);
}

async fn memory_source(contents: Vec<Bytes>) -> SourceFixture {
    let source = MemorySource::new();
    for content in contents {
        source.insert(content);
    }
    SourceFixture { source: Arc::new(source), keep: Box::new(()) }
}

async fn shared_source(contents: Vec<Bytes>) -> SourceFixture {
    let fixture = memory_source(contents).await;
    SourceFixture { source: Arc::new(fixture.source), keep: fixture.keep }
}

async fn file_source(contents: Vec<Bytes>) -> SourceFixture {
    files(&contents, ReadOptions::default())
}

async fn odd_file_source(contents: Vec<Bytes>) -> SourceFixture {
    let options = ReadOptions { segment_len: 77_777, read_ahead: 300_000, check: None };
    files(&contents, options)
}

fn files(contents: &[Bytes], options: ReadOptions) -> SourceFixture {
    let folder = tempdir().unwrap();
    let source = FileSource::new(options);
    for (number, content) in contents.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, content).unwrap();
        source.insert(SharedFile {
            stamp: FileStamp::of(&fs::metadata(&path).unwrap()),
            manifest: hash_bytes(content),
            path,
        });
    }
    SourceFixture { source: Arc::new(source), keep: Box::new(folder) }
}

async fn partial_memory_source(content: Bytes) -> PartialFixture {
    let source = MemorySource::new();
    let manifest = hash_bytes(&content);
    source.insert_empty(manifest.clone());
    let gaining = source.clone();
    PartialFixture {
        source: Arc::new(source),
        gain: Box::new(move |piece| {
            assert!(gaining.gain(&manifest.id(), &content, piece.into()));
            async {}.boxed()
        }),
        keep: Box::new(()),
    }
}

async fn memory_sink_as_source(content: Bytes) -> PartialFixture {
    let sink = MemorySink::new(hash_bytes(&content));
    let source = MemorySource::new();
    source.insert_sink(&sink);
    PartialFixture {
        source: Arc::new(source),
        gain: gain_by_putting(Arc::new(sink), content),
        keep: Box::new(()),
    }
}

async fn file_sink_as_source(content: Bytes) -> PartialFixture {
    let folder = tempdir().unwrap();
    let target = folder.path().join("target");
    let sink = FileSink::open(&target, hash_bytes(&content), SinkOptions::default());
    let sink = sink.await.unwrap();
    PartialFixture {
        source: Arc::new(sink.source()),
        gain: gain_by_putting(Arc::new(sink), content),
        keep: Box::new(folder),
    }
}

type Gain = Box<dyn Fn(PieceIndex) -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

fn gain_by_putting(sink: Arc<dyn PieceSink>, content: Bytes) -> Gain {
    Box::new(move |piece| {
        let (sink, content) = (sink.clone(), content.clone());
        async move {
            let layout = sink.manifest().layout();
            let start = layout.piece_offset(piece) as usize;
            let data = content.slice(start..start + layout.piece_len(piece));
            sink.put(piece, vec![data]).await.unwrap();
        }
        .boxed()
    })
}

async fn memory_sink(manifest: Manifest) -> SinkFixture {
    let sink = MemorySink::new(manifest);
    let reading = sink.clone();
    SinkFixture {
        sink: Arc::new(sink),
        read: Box::new(move || reading.finished()),
        keep: Box::new(()),
    }
}

async fn shared_sink(manifest: Manifest) -> SinkFixture {
    let fixture = memory_sink(manifest).await;
    SinkFixture { sink: Arc::new(fixture.sink), read: fixture.read, keep: fixture.keep }
}

async fn file_sink(manifest: Manifest) -> SinkFixture {
    let folder = tempdir().unwrap();
    let target = folder.path().join("a new folder/target");
    let sink = FileSink::open(&target, manifest, SinkOptions::default());
    SinkFixture {
        sink: Arc::new(sink.await.unwrap()),
        read: Box::new(move || fs::read(&target).ok().map(Bytes::from)),
        keep: Box::new(folder),
    }
}
