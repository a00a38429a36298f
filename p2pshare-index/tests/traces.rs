//! Traces of the program as an OpenTelemetry collector gets them.
#![allow(clippy::unwrap_used)]
#![cfg(all(unix, feature = "otel"))]

mod common;

use std::net::TcpListener;

use common::process::{Running, program, started, text};
use p2pshare_telemetry::testing::{Collector, ReceivedSpan};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

const PASSWORD: &str = "correct horse battery";

/// Starts an index with this variable in its environment.
async fn started_with(dir: &tempfile::TempDir, variables: &[(&str, &str)]) -> Running {
    let mut command =
        program(&["serve", "--listen", "127.0.0.1:0", "--data-dir", text(dir.path())]);
    command.envs(variables.iter().copied());
    Running::wait_for(command).await
}

fn one<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

#[tokio::test]
async fn requests_arrive_at_the_collector_before_the_program_ends_and_nothing_secret_does() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let index = started(&["--data-dir", text(dir.path()), "--otlp-endpoint", &url]).await;

    let alice = json!({ "username": "alice", "password": PASSWORD });
    assert_eq!(index.post("/v1/users", &alice).await, StatusCode::CREATED);
    let client = Client::new();
    let opened = client.post(format!("{}/v1/sessions", index.url)).json(&alice).send().await;
    let opened: Value = opened.unwrap().json().await.unwrap();
    let token = opened["token"].as_str().unwrap();
    let asked = client
        .get(format!("{}/v1/users/alice/files?path=Secret%20Plans", index.url))
        .bearer_auth(token)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .send();
    assert!(asked.await.is_ok());
    // What only the client knows goes no further, and a parent that is wrong is none.
    let odd = reqwest::Method::from_bytes(b"HUSH").unwrap();
    client.request(odd, format!("{}/hush-hush", index.url)).send().await.unwrap();
    let me = client.get(format!("{}/v1/me", index.url)).bearer_auth(token);
    let me = me.header("traceparent", "00-zz-b7ad6b7169203331-01").send().await.unwrap();
    assert_eq!(me.status(), StatusCode::OK);
    assert_eq!(index.stop().await.0, Some(0));

    let spans = collector.spans();
    for span in &spans {
        assert_eq!(span.service, "p2pshare-index");
        assert_eq!(span.version, env!("CARGO_PKG_VERSION"));
    }
    let made = one(&spans, "POST /v1/users");
    assert_eq!(made.attributes["http.route"], "/v1/users");
    assert_eq!(made.attributes["http.request.method"], "POST");
    assert_eq!(made.attributes["http.response.status_code"], "201");
    assert!(made.parent.is_empty() && !made.failed);
    let child: Vec<_> = spans.iter().filter(|span| !span.parent.is_empty()).collect();
    assert_eq!(child.len(), 1, "{spans:#?}");
    assert_eq!(child[0].trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(child[0].parent, "b7ad6b7169203331");
    assert!(one(&spans, "GET /v1/me").parent.is_empty());

    let everything = collector.everything();
    for secret in [token, PASSWORD, "alice", "Secret", "audit", "HUSH", "hush"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test]
async fn the_variables_of_opentelemetry_say_where_and_under_which_name() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Collector::start().unwrap(), Collector::start().unwrap());
    let (all, traces) = (first.url(), second.url());
    let info = async |variables: &[(&str, &str)]| {
        let index = started_with(&dir, variables).await;
        Client::new().get(format!("{}/v1/index", index.url)).send().await.unwrap();
        assert_eq!(index.stop().await.0, Some(0));
    };

    info(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &all),
        ("OTEL_SERVICE_NAME", "the archive"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,deployment.environment.name=test"),
    ])
    .await;
    let spans = first.spans();
    let span = one(&spans, "GET /v1/index");
    assert_eq!((span.service.as_str(), span.version.as_str()), ("the archive", "7"));

    info(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &all), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces)])
        .await;
    assert_eq!(one(&second.spans(), "GET /v1/index").service, "p2pshare-index");

    info(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &all), ("OTEL_SDK_DISABLED", "true")]).await;
    info(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &all), ("OTEL_TRACES_SAMPLER", "always_off")]).await;
    info(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).await;
    assert_eq!((first.spans().len(), second.spans().len()), (1, 1));
}

#[tokio::test]
async fn a_collector_that_is_away_silent_or_wrong_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // One that nobody listens at, one that takes connections and says nothing, and one that speaks no gRPC.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = started(&["--store", "memory:"]).await;
    let urls = [
        format!("http://{away}"),
        format!("http://{}", silent.local_addr().unwrap()),
        wrong.url.clone(),
    ];
    for url in &urls {
        let mut index = started_with(&dir, &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).await;
        let mut log = index.child.stderr.take().unwrap();
        // More than the queue holds.
        let client = Client::new();
        for _ in 0..2500 {
            let answer = client.get(format!("{}/healthz", index.url)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{url}");
        }
        assert_eq!(index.stop().await, (Some(0), String::new()), "{url}");
        let mut said = String::new();
        log.read_to_string(&mut said).await.unwrap();
        // It is told once; what is silent may not have been given up by then.
        let told = said.matches("traces are lost").count();
        assert!(told == 1 || told == 0 && *url == urls[1], "{url}: {said}");
    }

    let (code, _, err) =
        common::process::finished(program(&["serve", "--otlp-endpoint", "collector:4317"])).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("http://HOST:4317"), "{err}");
}
