//! Whole downloads from peers that lie on the wire: each ends, with the right bytes or an error that names the liar.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::content::{ContentId, Manifest, hash_bytes};
use p2pshare_core::identity::PeerKey;
use p2pshare_core::swarm::{
    Candidate, DownloadError, DownloadOptions, Downloader, ManifestOptions, SmallDownload,
    SwarmEvents, download_small, manifest_from,
};
use p2pshare_core::transfer::{MemorySink, MemorySource, TransferError};
use p2pshare_peer::net::{ClientLimits, PeerConnector, PushProposal, RemotePeer};
use p2pshare_proto::v1;
use p2pshare_proto::v1::fetch_response::Event;
use p2pshare_proto::v1::push_response::Event as Answer;
use tokio_util::sync::CancellationToken;

use crate::script::{Script, Then, part};
use crate::support::{
    Grants, PATIENCE, PIECE, Server, Setup, bytes, client_tls, name, source_of, within,
};

/// How long a peer may say nothing. Those who lie say something wrong long before.
const STALL: Duration = Duration::from_secs(1);

fn limits() -> ClientLimits {
    ClientLimits {
        connect_timeout: PATIENCE,
        answer_timeout: STALL,
        stall_timeout: STALL,
        ..ClientLimits::default()
    }
}

fn options() -> DownloadOptions {
    DownloadOptions {
        answer: STALL,
        stall: STALL,
        queue_stall: STALL,
        patience: Duration::ZERO,
        rest: Duration::from_millis(1),
        starving_patience: 4 * STALL,
        ..DownloadOptions::default()
    }
}

/// The same for a download whose honest peer is not given up although the machine is slow.
fn patient() -> DownloadOptions {
    DownloadOptions { patience: PATIENCE, starving_patience: PATIENCE, ..options() }
}

/// An honest peer, to which it may take long to connect.
fn honest(server: &Server) -> RemotePeer {
    let limits = ClientLimits { connect_timeout: PATIENCE, ..ClientLimits::default() };
    let connector = PeerConnector::new(client_tls(&PeerKey::generate().unwrap()), limits);
    connector.peer(server.key.peer_id(), vec![server.peer_addr()])
}

fn candidate(peer: &RemotePeer, label: &str) -> Candidate {
    let source = Arc::new(source_of(peer, "anna"));
    Candidate { id: peer.id(), label: label.to_owned(), source }
}

/// Downloads as `get` does: first the manifest, then the pieces.
async fn download(
    content: &ContentId,
    sources: Vec<Candidate>,
    options: DownloadOptions,
) -> Result<Vec<u8>, DownloadError> {
    let cancel = CancellationToken::new();
    // Each is asked once.
    let patience = options.patience.max(STALL);
    let asking = ManifestOptions { patience, ..ManifestOptions::default() };
    let found = manifest_from(content, &sources, asking, &cancel).await?;
    if let Some(data) = found.data {
        return Ok(data.concat());
    }
    let sink = MemorySink::new(found.manifest);
    let (to, events) = (Arc::new(sink.clone()), SwarmEvents::default());
    let downloader = Downloader::default();
    downloader.download(to, Arc::new(sources), options, events, &cancel).await?;
    Ok(sink.finished().unwrap().to_vec())
}

/// Downloads a small content in one call.
async fn download_in_one(
    content: &ContentId,
    sources: Vec<Candidate>,
    options: DownloadOptions,
) -> Result<Vec<u8>, DownloadError> {
    let cancel = CancellationToken::new();
    // Each is asked once.
    let patience = options.patience.max(STALL);
    let asking = DownloadOptions { answer: patience, stall: patience, ..options.clone() };
    let got = download_small(content, &sources, &asking, |_, _| {}, &cancel).await?;
    match got {
        SmallDownload::Content { data, .. } => Ok(data.concat()),
        SmallDownload::NeedsManifest => Box::pin(download(content, sources, options)).await,
    }
}

fn segment(offset: u64, data: impl Into<Bytes>) -> v1::FetchResponse {
    let segment = v1::Segment { offset, data: data.into() };
    v1::FetchResponse { event: Some(Event::Segment(segment)) }
}

fn queued(position: u32) -> v1::FetchResponse {
    v1::FetchResponse { event: Some(Event::Queued(v1::Queued { position })) }
}

fn chosen(runs: &[(u32, u32)]) -> v1::FetchResponse {
    let runs = runs.iter().map(|&(start, count)| v1::PieceRun { start, count }).collect();
    v1::FetchResponse { event: Some(Event::Chosen(v1::Chosen { runs })) }
}

fn have(runs: &[(u32, u32)], complete: bool) -> v1::HaveUpdate {
    let gained = runs.iter().map(|&(start, count)| v1::PieceRun { start, count }).collect();
    v1::HaveUpdate { gained, complete, continues: false }
}

/// A peer that tells the truth about its manifest and that it has all, and then answers a fetch like this.
fn fetching(manifest: &Manifest, fetch: Vec<v1::FetchResponse>, then: Then) -> Script {
    Script {
        manifest: vec![part(manifest, manifest.chaining_values().as_flattened())],
        have: vec![have(&[(0, manifest.layout().piece_count())], true)],
        fetch,
        then,
        ..Script::default()
    }
}

/// What can be said wrong in a fetch of `data`, by what it is.
fn lies(data: &Bytes) -> Vec<(&'static str, Vec<v1::FetchResponse>, Then)> {
    let right = segment(0, data.slice(..data.len().min(1000)));
    let mut wrong = data.slice(..data.len().min(PIECE)).to_vec();
    wrong[17] ^= 1;
    vec![
        ("wrong bytes", vec![segment(0, wrong)], Then::End),
        ("wrong bytes, one at a time, forever", vec![segment(0, vec![7])], Then::Repeat),
        ("the same again and again", vec![right.clone()], Then::Repeat),
        ("a later offset", vec![segment(1, data.slice(1..100))], Then::End),
        ("the last offset there is", vec![segment(u64::MAX, vec![1; 100])], Then::Repeat),
        (
            "two segments in the wrong order",
            vec![segment(500, data.slice(500..600)), right.clone()],
            Then::End,
        ),
        ("more than was asked for", vec![segment(0, vec![0; PIECE + 1])], Then::Repeat),
        ("too little", vec![right.clone()], Then::End),
        ("nothing", vec![], Then::End),
        ("nothing, forever", vec![], Then::Hang),
        ("a little, and nothing forever", vec![right.clone()], Then::Hang),
        ("empty segments forever", vec![segment(0, Bytes::new())], Then::Repeat),
        (
            "empty segments after a right one",
            vec![right.clone(), segment(1000, Bytes::new())],
            Then::Repeat,
        ),
        ("empty messages forever", vec![v1::FetchResponse { event: None }], Then::Repeat),
        ("a message that is too large", vec![segment(0, vec![0; 3 * PIECE])], Then::Repeat),
        ("the same place in the queue forever", vec![queued(1)], Then::Repeat),
        ("the worst place in the queue forever", vec![queued(u32::MAX)], Then::Repeat),
        ("a place in the queue and nothing more", vec![queued(3)], Then::Hang),
        ("places up and down", vec![queued(2), queued(1), queued(2)], Then::Repeat),
        ("a place in the queue after bytes", vec![right.clone(), queued(1)], Then::Repeat),
        ("a choice of nothing", vec![chosen(&[])], Then::Repeat),
        ("a choice of a piece that there is not", vec![chosen(&[(u32::MAX, 1)])], Then::Repeat),
        ("a choice of more than there is", vec![chosen(&[(0, u32::MAX), (0, 9)])], Then::Repeat),
        ("the same choice forever", vec![chosen(&[(0, 1)])], Then::Repeat),
        ("a place in the queue after a choice", vec![chosen(&[(0, 1)]), queued(1)], Then::Repeat),
        ("a choice after bytes", vec![right, chosen(&[(0, 1)])], Then::Repeat),
    ]
}

/// An error that says who it was.
#[track_caller]
fn named(result: Result<Vec<u8>, DownloadError>, what: &str) {
    let error = result.expect_err(what);
    assert!(matches!(error, DownloadError::AllFailed { .. }), "{what}: {error:?}");
    assert!(error.to_string().contains("liar"), "{what}: it names nobody: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_in_a_fetch_ends_the_download() {
    let data = bytes(3 * PIECE + 9);
    let manifest = hash_bytes(&data);
    for (what, fetch, then) in lies(&data) {
        let liar = fetching(&manifest, fetch, then).start_tls(limits()).await;
        let sources = vec![candidate(&liar, "liar")];
        named(within(download(&manifest.id(), sources, options()).boxed()).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_in_a_small_fetch_ends_the_download() {
    let data = bytes(5000);
    let manifest = hash_bytes(&data);
    for (what, fetch, then) in lies(&data) {
        let liar = fetching(&manifest, fetch, then).start_tls(limits()).await;
        let sources = vec![candidate(&liar, "liar")];
        named(within(download_in_one(&manifest.id(), sources, options()).boxed()).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_liar_an_honest_peer_is_enough() {
    let (large, small) = (bytes(3 * PIECE + 9), bytes(5000));
    let memory = MemorySource::new();
    let manifests = [memory.insert(large.clone()), memory.insert(small.clone())];
    let mut setup = Setup::tls(&memory);
    setup.limits.handshake_timeout = PATIENCE;
    let server = setup.start().await;
    for (number, (what, ..)) in lies(&large).into_iter().enumerate() {
        for (data, manifest) in [&large, &small].into_iter().zip(&manifests) {
            let (_, fetch, then) = lies(data).swap_remove(number);
            let liar = fetching(manifest, fetch, then).start_tls(limits()).await;
            let sources = vec![candidate(&liar, "liar"), candidate(&honest(&server), "honest")];
            let id = manifest.id();
            let got = match data.len() > PIECE {
                true => within(download(&id, sources, patient()).boxed()).await,
                false => within(download_in_one(&id, sources, patient()).boxed()).await,
            };
            let got = got.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(got == *data, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_what_is_held_ends_the_download() {
    let data = bytes(3 * PIECE + 9);
    let manifest = hash_bytes(&data);
    let pieces = manifest.layout().piece_count();
    let unfinished = v1::HaveUpdate { continues: true, ..have(&[(0, 1)], false) };
    for (what, updates, then) in [
        ("pieces beyond the end", vec![have(&[(0, pieces + 1)], true)], Then::End),
        ("pieces at the end of numbers", vec![have(&[(u32::MAX, u32::MAX)], false)], Then::Repeat),
        ("all, but not all pieces", vec![have(&[(0, 1)], true)], Then::End),
        ("nothing, forever", vec![], Then::Hang),
        ("no answer", vec![], Then::End),
        ("an update that never ends", vec![unfinished], Then::Repeat),
        ("nothing gained, again and again", vec![have(&[], false)], Then::Repeat),
        (
            "the same gained again and again",
            vec![have(&[], false), have(&[(0, 1)], false)],
            Then::Repeat,
        ),
        ("nothing, and no more news", vec![have(&[], false)], Then::Hang),
    ] {
        let script = Script { have: updates, ..fetching(&manifest, vec![], then) };
        let liar = script.start_tls(limits()).await;
        let sources = vec![candidate(&liar, "liar")];
        named(within(download(&manifest.id(), sources, options()).boxed()).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_the_manifest_ends_the_download() {
    let data = bytes(3 * PIECE + 9);
    let manifest = hash_bytes(&data);
    let values = manifest.chaining_values().as_flattened();
    let other = hash_bytes(&bytes(3 * PIECE + 10));
    let honest = part(&manifest, values);
    let longer = |by: u64| {
        let mut lie = honest.clone();
        lie.head.as_mut().unwrap().length += by;
        lie
    };
    let tail = |tail: Vec<u8>| {
        let mut lie = honest.clone();
        lie.head.as_mut().unwrap().tail = tail.into();
        lie
    };
    for (what, parts, then) in [
        (
            "another content's",
            vec![part(&other, other.chaining_values().as_flattened())],
            Then::End,
        ),
        ("a length that is one too long", vec![longer(1)], Then::End),
        ("a length that is a piece too long", vec![longer(PIECE as u64)], Then::End),
        ("the longest length", vec![longer(u64::MAX - manifest.len())], Then::Repeat),
        ("a wrong tail", vec![tail(vec![0; 9])], Then::End),
        ("an endless tail", vec![tail(vec![0; 200 << 10])], Then::Repeat),
        (
            "values in the wrong order",
            vec![part(&manifest, &values.iter().rev().copied().collect::<Vec<_>>())],
            Then::End,
        ),
        ("too few values", vec![part(&manifest, &values[32..])], Then::End),
        ("too few, and silence", vec![part(&manifest, &values[32..])], Then::Hang),
        ("values forever", vec![honest.clone()], Then::Repeat),
        ("empty parts forever", vec![v1::ManifestPart::default()], Then::Repeat),
        ("silence", vec![], Then::Hang),
    ] {
        let script = Script { manifest: parts, ..fetching(&manifest, vec![], then) };
        let liar = script.start_tls(limits()).await;
        let sources = vec![candidate(&liar, "liar")];
        named(within(download(&manifest.id(), sources, options()).boxed()).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_keeps_a_push_waiting_is_given_up() {
    let memory = MemorySource::new();
    let manifest = memory.insert(bytes(3 * PIECE));
    let queued = |position| Answer::Queued(v1::Queued { position });
    let one = Answer::Wanted(v1::PushWanted { runs: vec![v1::PieceRun { start: 0, count: 1 }] });
    for (what, answers, then) in [
        ("the same place forever", vec![queued(1)], Then::Repeat),
        ("a place, and silence", vec![queued(1)], Then::Hang),
        ("silence", vec![], Then::Hang),
        ("no receipt", vec![], Then::End),
        ("the same piece forever", vec![one], Then::Repeat),
    ] {
        let push = answers.into_iter().map(|event| v1::PushResponse { event: Some(event) });
        let script = Script { push: push.collect(), then, ..Script::default() };
        let peer = script.start_tls(limits()).await;
        let proposal = PushProposal { name: name("a"), manifest: manifest.clone() };
        let grants = Grants::of("anna");
        let pushed = within(peer.push(&proposal, &memory, &*grants, &|_| {}).boxed()).await;
        let error = pushed.expect_err(what);
        let told = match error {
            TransferError::Protocol(_) | TransferError::Stalled(_) => true,
            // Others may have made an honest queue so lively.
            TransferError::Unavailable(_) => what == "the same place forever",
            _ => false,
        };
        assert!(told, "{what}: {error:?}");
    }
}
