use std::{num::NonZeroUsize, time::Duration};

use p2pshare_core::{
    content::ContentId, identity::PeerId, swarm::SourceReport, testing::programs::assert_dashboard,
};

use super::*;

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("there is no {name} in\n{text}"));
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_sources_did_is_counted_by_reason() {
    let metrics = PeerMetrics::new();
    let source = |bytes, pieces, failure| SourceReport {
        id: PeerId::from_bytes([1; 32]),
        label: "alice".to_owned(),
        bytes,
        pieces,
        failure,
    };
    let running = metrics.download();
    assert_eq!(value(&metrics.text().unwrap(), "p2pshare_peer_downloads_running"), 1.0);
    for failure in [
        None,
        Some(TransferError::Protocol("x".into())),
        Some(TransferError::Stalled(Duration::from_secs(1))),
        Some(TransferError::Unavailable("gone".into())),
        Some(TransferError::NotFound(ContentId::from_bytes([0; 32]))),
    ] {
        let sources = vec![source(1000, 3, failure)];
        let elapsed = Duration::from_secs(1);
        metrics.downloaded(&Report { elapsed, resumed: 0, fetched: 3, refetched: 0, sources });
    }
    drop(running);
    let text = metrics.text().unwrap();
    let failures = |reason: &str| {
        value(&text, &format!("p2pshare_peer_source_failures_total{{reason=\"{reason}\"}}"))
    };
    assert_eq!(value(&text, "p2pshare_peer_received_bytes_total"), 5000.0);
    assert_eq!(value(&text, "p2pshare_peer_pieces_verified_total"), 15.0);
    assert_eq!(value(&text, "p2pshare_peer_downloads_running"), 0.0);
    assert_eq!((failures("unavailable"), failures("protocol")), (2.0, 1.0));
    assert_eq!((failures("not-held"), failures("wrong-bytes")), (1.0, 0.0));
}

#[tokio::test]
async fn uploads_are_those_of_the_slots() {
    let metrics = PeerMetrics::new();
    let slots = UploadSlots::new(NonZeroUsize::MIN, 8);
    metrics.set_slots(slots.clone());
    let first = slots.acquire("alice".parse().unwrap()).unwrap();
    let _second = slots.acquire("bob".parse().unwrap()).unwrap();
    let text = metrics.text().unwrap();
    assert_eq!(value(&text, "p2pshare_peer_uploads_running"), 1.0);
    assert_eq!(value(&text, "p2pshare_peer_uploads_waiting"), 1.0);
    drop(first);
}

#[test]
fn every_metric_of_the_dashboard_is_there() {
    let dashboard = include_str!("../../../scripts/packaging/grafana/peer.json");
    assert_dashboard(dashboard, &PeerMetrics::new().text().unwrap());
}
