//! Small contents and manifests from several sources.

#![allow(clippy::unwrap_used)]

mod swarm_sources;

use std::{future, sync::Arc, time::Duration};

use async_trait::async_trait;
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun, hash_bytes},
    swarm::{
        Candidate, DownloadError, DownloadOptions, ManifestOptions, SmallDownload, download_small,
        manifest_from,
    },
    testing::{Fault, FaultySource, sample},
    transfer::{
        HaveStream, MemorySink, MemorySource, PieceSink, PieceSource, SegmentStream, SmallNews,
        TransferError,
    },
};
use swarm_sources::{candidate, content, download, full, id, options};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

async fn small(
    content: &ContentId,
    candidates: &[Candidate],
) -> Result<SmallDownload, DownloadError> {
    let cancel = CancellationToken::new();
    let stall = Duration::from_secs(5);
    let options = DownloadOptions {
        answer: stall,
        stall,
        queue_stall: stall * 10,
        ..DownloadOptions::default()
    };
    download_small(content, candidates, &options, |_, _| {}, &cancel).await
}

fn faulty(data: &[u8], fault: Fault) -> FaultySource {
    FaultySource::new(Arc::new(full(&data.to_vec().into())), [fault])
}

#[tokio::test(start_paused = true)]
async fn a_small_content_comes_from_the_first_honest_source() {
    for len in [0, 1, 1024, PIECE_LEN] {
        let data = sample(len, 9);
        let sources = [
            candidate(1, MemorySource::new()),
            candidate(2, faulty(&data, Fault::TooMuch)),
            candidate(3, faulty(&data, Fault::Stall(0))),
            candidate(4, full(&data)),
        ];
        let found = small(&ContentId::of(&data), &sources).await.unwrap();
        // A source that sends too much is one for which the content seems to be longer: others are asked all the same.
        let SmallDownload::Content { manifest, data: slices, from } = found else {
            panic!("{len}: {found:?}");
        };
        assert!(slices.concat() == data && manifest.len() == len && from == id(4));
    }
}

#[tokio::test(start_paused = true)]
async fn every_cause_of_a_small_failure_is_told() {
    let data = sample(5000, 1);
    let sources = [
        candidate(1, MemorySource::new()),
        candidate(2, faulty(&data, Fault::CorruptByte(17))),
        candidate(3, faulty(&data, Fault::Stall(0))),
    ];
    let error = small(&ContentId::of(&data), &sources).await.unwrap_err();
    let DownloadError::AllFailed { causes } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        &causes[..],
        [
            (_, TransferError::NotFound(_)),
            (_, TransferError::Mismatch(_)),
            (_, TransferError::Stalled(_))
        ]
    ));
    let none = small(&ContentId::of(&data), &[]).await;
    assert!(matches!(none, Err(DownloadError::NoSources { .. })));
    let long = content(3);
    let found = small(&ContentId::of(&long), &[candidate(1, full(&long))]).await;
    assert!(matches!(found, Ok(SmallDownload::NeedsManifest)));
}

#[tokio::test(start_paused = true)]
async fn a_manifest_comes_from_whoever_gives_a_right_one_first() {
    let data = content(3);
    let other = hash_bytes(b"something else");
    let short = Manifest::single(ContentId::of(&data), 5).unwrap();
    let sources = [
        candidate(1, faulty(&data, Fault::LyingManifest(other))),
        candidate(2, faulty(&data, Fault::LyingManifest(short))),
        candidate(3, MemorySource::new()),
        candidate(4, full(&data)),
    ];
    let cancel = CancellationToken::new();
    let id_of_data = ContentId::of(&data);
    let found = manifest_from(&id_of_data, &sources, ManifestOptions::default(), &cancel).await;
    let found = found.unwrap();
    assert_eq!((found.manifest, found.from), (hash_bytes(&data), id(4)));
    assert_eq!(found.failed.len(), 3);
    assert!(found.failed[0].1.is_lie() && found.data.is_none());

    let error = manifest_from(&id_of_data, &sources[..3], ManifestOptions::default(), &cancel)
        .await
        .unwrap_err();
    assert!(matches!(error, DownloadError::AllFailed { causes } if causes.len() == 3));
}

#[tokio::test(start_paused = true)]
async fn the_length_of_a_small_content_is_proven_by_its_bytes() {
    let data = sample(777, 2);
    let cancel = CancellationToken::new();
    let content = ContentId::of(&data);
    let longer = Manifest::single(content, 778).unwrap();
    let liar = faulty(&data, Fault::LyingManifest(longer));
    let sources = [candidate(1, liar)];
    let found = manifest_from(&content, &sources, ManifestOptions::default(), &cancel).await;
    let found = found.unwrap();
    assert_eq!(found.manifest, hash_bytes(&data));
    let sink = MemorySink::new(found.manifest);
    sink.put(p2pshare_core::content::PieceIndex(0), found.data.unwrap()).await.unwrap();
    let report = download(&sink, Vec::new(), options()).await.unwrap();
    assert_eq!((sink.finished(), report.resumed), (Some(data), 1));
}

#[tokio::test(start_paused = true)]
async fn silent_sources_keep_nobody_from_a_small_content() {
    let data = sample(5000, 3);
    let mut sources: Vec<_> =
        (1..=2).map(|n| candidate(n, faulty(&data, Fault::Stall(0)))).collect();
    sources.push(candidate(3, full(&data)));
    let (cancel, options) = (CancellationToken::new(), DownloadOptions::default());
    let (begun, content) = (Instant::now(), ContentId::of(&data));
    let mut received = Vec::new();
    let news = |from, news| received.push((from, news));
    let found = download_small(&content, &sources, &options, news, &cancel).await.unwrap();
    assert!(matches!(found, SmallDownload::Content { from, .. } if from == id(3)));
    let bytes = received.iter().map(|(from, news)| match news {
        SmallNews::Received(bytes) if *from == id(3) => *bytes,
        other => panic!("{other:?} of {from:?}"),
    });
    assert_eq!(bytes.sum::<u64>(), 5000);
    // Three seconds until the second is asked, six until the third: none was waited for until it failed.
    let took = begun.elapsed();
    assert!((8..11).contains(&took.as_secs()), "{took:?}");
}

/// A source that answers nothing.
struct Silent;

#[async_trait]
impl PieceSource for Silent {
    async fn manifest(&self, _: &ContentId) -> Result<Manifest, TransferError> {
        future::pending().await
    }

    async fn have(&self, _: &ContentId) -> Result<HaveStream, TransferError> {
        future::pending().await
    }

    async fn fetch(&self, _: &ContentId, _: &[PieceRun]) -> Result<SegmentStream, TransferError> {
        future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn silent_sources_keep_nobody_from_a_manifest() {
    let data = content(3);
    let mut sources: Vec<_> = (1..=8).map(|n| candidate(n, Silent)).collect();
    sources.push(candidate(9, full(&data)));
    let options = ManifestOptions::default();
    let (cancel, begun) = (CancellationToken::new(), Instant::now());
    let found = manifest_from(&ContentId::of(&data), &sources, options, &cancel).await.unwrap();
    assert!(found.from == id(9) && found.failed.is_empty());
    assert!(begun.elapsed() < options.patience, "{:?}", begun.elapsed());
}
