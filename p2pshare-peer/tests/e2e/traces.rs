//! Traces of both programs as an OpenTelemetry collector gets them.

use std::net::TcpListener;

use p2pshare_telemetry::testing::{Collector, ReceivedSpan};

use crate::support::{Index, MIB, PASSWORD, Peer, Process, assert_bytes, noise};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn of<'a>(spans: &'a [ReceivedSpan], service: &str, name: &str) -> Vec<&'a ReceivedSpan> {
    spans.iter().filter(|span| span.service == service && span.name == name).collect()
}

#[test]
fn a_download_is_one_trace_through_peer_and_index_and_tells_no_secret() {
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let mut index = Index::start_with(&["--otlp-endpoint", &url]);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(3 * MIB, 1);
    let id = alice.share_file("Nosferatu.mkv", &bytes);
    let serving = alice.serve(&["--otlp-endpoint", &url]);

    let mut get = bob.command(["get", "alice:/Nosferatu.mkv", "--json"]);
    get.env(ENDPOINT, &url);
    Process::start(get).wait().expect_code(0);
    assert_bytes(&bob.path("Nosferatu.mkv"), &bytes);
    let mut missing = bob.command(["get", "alice:/missing", "--json"]);
    missing.env(ENDPOINT, &url);
    Process::start(missing).wait().expect_code(4);
    let (alices, bobs) = (alice.token(), bob.token());
    serving.stop().expect_code(0);
    index.stop(rustix::process::Signal::TERM).expect_code(0);

    let spans = collector.spans();
    let commands = of(&spans, "p2pshare-peer", "get");
    assert_eq!(commands.len(), 2, "{spans:#?}");
    let command = *commands.iter().find(|span| !span.failed).expect("one of them");
    assert!(commands.iter().any(|span| span.failed), "the other one");
    let downloads = of(&spans, "p2pshare-peer", "download");
    let [download] = downloads[..] else { panic!("{spans:#?}") };
    assert_eq!((&download.trace, &download.parent), (&command.trace, &command.id));
    assert_eq!(download.attributes["p2pshare.bytes"], bytes.len().to_string());

    // What the index answered to it hangs below what was asked.
    let asked: Vec<_> = spans
        .iter()
        .filter(|span| span.service == "p2pshare-peer" && span.trace == command.trace)
        .collect();
    let answered: Vec<_> = spans
        .iter()
        .filter(|span| span.service == "p2pshare-index" && span.trace == command.trace)
        .collect();
    assert!(!answered.is_empty(), "{spans:#?}");
    for span in answered {
        assert!(asked.iter().any(|it| it.id == span.parent), "{span:?} in {spans:#?}");
    }
    // What another peer answered is a trace of its own.
    let served = of(&spans, "p2pshare-peer", "p2pshare.v1.Transfer/Fetch");
    assert!(!served.is_empty(), "{spans:#?}");
    assert!(served.iter().all(|span| span.parent.is_empty()), "{spans:#?}");

    let everything = collector.everything();
    let key_words = ["eyJ", "Bearer", "Nosferatu", "alice", "bob"];
    for secret in
        [&alices, &bobs, &id].map(String::as_str).iter().chain(&[PASSWORD]).chain(&key_words)
    {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[test]
fn a_collector_that_is_away_or_silent_harms_nothing() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [away, silent.local_addr().unwrap()] {
        let mut command = alice.command(["whoami", "--json"]);
        command.env(ENDPOINT, format!("http://{address}"));
        let ended = Process::start(command).wait().expect_code(0);
        assert_eq!(ended.one("account")["account"]["username"], "alice");
        assert_eq!(ended.stderr, "");
    }
    let mut command = alice.command(["whoami", "--json", "--otlp-endpoint", "collector"]);
    command.env(ENDPOINT, "");
    let (said, _) = Process::start(command).wait().expect_code(2).error();
    assert!(said.contains("http://HOST:4317"), "{said}");
}
