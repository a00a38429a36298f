//! Names that lead elsewhere, from peers that push and from an index that lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use p2pshare_core::content::hash_bytes;
use p2pshare_core::transfer::MemorySource;
use p2pshare_peer::download::{Target, Wanted, resolve};
use p2pshare_peer::inbox::{Inbox, InboxOptions};
use p2pshare_peer::index_client::{IndexClient, IndexUrl};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event;
use p2pshare_proto::v1::transfer_client::TransferClient;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::{Code, Request, Status};

use crate::stranger::{NoCertificate, config_of, stranger};
use crate::support::{Guard, Server, Setup, within};

/// Names that no file may get.
fn hostile() -> Vec<String> {
    let names = [
        "",
        "/",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc/cron.d/x",
        "//x",
        "a//b",
        "a/",
        "a/.",
        "a\0b",
        "\0",
        "C:\\x",
        "C:x",
        "c:/x",
        "\\\\server\\share\\x",
        "..\\x",
        "a\\..\\..\\x",
        "nul",
        "CON.txt",
        "com1",
        "a:stream",
        "a\nb",
        "a\u{1b}[2Jb",
        "a\u{85}b",
        "x.",
        "x ",
        "\u{2025}",
        "\u{ff0e}\u{ff0e}/x",
        "a\u{ff0f}b",
        "..\u{ff0f}x",
        "a\u{301}",
        "*",
        "a?b",
        "<a>",
        "|",
    ];
    let long = ["a".repeat(256), "a".repeat(5000), vec!["a"; 65].join("/"), "../".repeat(1000)];
    names.map(str::to_owned).into_iter().chain(long).collect()
}

/// All that is in a folder.
fn all(folder: &Path) -> Vec<PathBuf> {
    let walk = ignore::WalkBuilder::new(folder).standard_filters(false).build();
    walk.map(|entry| entry.unwrap().into_path()).filter(|path| path != folder).collect()
}

/// Offers a content of 3 bytes under this name, and sends it.
async fn push(server: &Server, name: &str) -> Result<String, Status> {
    let data = Bytes::from_static(b"abc");
    let content_id = Bytes::copy_from_slice(hash_bytes(&data).id().as_bytes());
    let length = data.len() as u64;
    let head = Some(v1::ManifestHead { length, tail: Bytes::new() });
    let messages = [
        Event::Offer(v1::PushOffer {
            content_id,
            name: name.to_owned(),
            length,
            ..Default::default()
        }),
        Event::Manifest(v1::ManifestPart { head, chaining_values: Bytes::new() }),
        Event::Segment(v1::Segment { offset: 0, data }),
    ];
    let messages = messages.map(|event| v1::PushRequest { event: Some(event) });
    let mut request = Request::new(stream::iter(messages).chain(stream::pending()));
    let grant = format!("Bearer {}mallory", Guard::GRANT);
    request.metadata_mut().insert("authorization", grant.parse().unwrap());
    let config = config_of(server, Arc::new(NoCertificate));
    let mut client = TransferClient::new(stranger(server, config).await.unwrap());
    let mut answers = within(client.push(request)).await?.into_inner();
    loop {
        let answer = within(answers.message()).await?.expect("a receipt comes last").event;
        if let Some(v1::push_response::Event::Receipt(receipt)) = answer {
            return Ok(receipt.name);
        }
    }
}

#[tokio::test]
async fn what_is_pushed_stays_in_the_inbox() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/er/inbox");
    let options = InboxOptions { reserve_bytes: 0, ..InboxOptions::default() };
    let mut setup = Setup::tls(&MemorySource::new());
    setup.receiver = Some(Arc::new(Inbox::open(&root, options).unwrap()));
    let server = setup.start().await;
    let before = all(folder.path());
    for name in hostile() {
        let status = push(&server, &name).await.expect_err(&name);
        assert_eq!(status.code(), Code::PermissionDenied, "{name:?}: {status:?}");
        let told = status.message();
        assert!(told.contains("name") || told.contains("path"), "{name:?}: {told}");
        assert!(!told.chars().any(|c| c.is_control() || c == '\u{202e}'), "{name:?}: {told:?}");
        assert_eq!(all(folder.path()), before, "{name:?}");
    }
    // A name that reads otherwise than it is written is kept as one that does not.
    assert_eq!(push(&server, "a\u{202e}gpj.exe").await.unwrap(), "a_gpj.exe");
    assert_eq!(fs::read(root.join("mallory/a_gpj.exe")).unwrap(), b"abc");
    assert!(all(folder.path()).iter().all(|path| path.starts_with(folder.path().join("deep"))));
    // The same with a name that is good.
    assert_eq!(push(&server, "a/b.txt").await.unwrap(), "a/b.txt");
    assert_eq!(fs::read(root.join("mallory/a/b.txt")).unwrap(), b"abc");
}

/// An index that answers every question with this.
async fn index(answer: String) -> IndexClient {
    IndexClient::new(&[answering("200 OK", "application/json", answer).await], Duration::ZERO)
        .unwrap()
}

/// Where every request is answered with this status, this type (and what headers follow it) and this body.
async fn answering(status: &'static str, kind: &'static str, answer: String) -> IndexUrl {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url: IndexUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(client.read_u8().await.unwrap());
            }
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            client.write_all(head.as_bytes()).await.unwrap();
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

/// What would be downloaded, and where to.
async fn wanted(answer: serde_json::Value, target: &str) -> Result<Vec<Wanted>, String> {
    let client = index(answer.to_string()).await;
    let target: Target = target.parse().unwrap();
    let wanted = within(resolve(&client, &[target], Some(Path::new("/downloads/")))).await;
    wanted.map_err(|error| error.to_string())
}

fn id() -> String {
    hash_bytes(b"abc").id().to_string()
}

fn listing(path: &str) -> serde_json::Value {
    json!({ "items": [{ "file": { "path": path, "content": id(), "size": 3 } }] })
}

fn details(path: &str) -> serde_json::Value {
    let name = json!({ "path": path, "owner": "alice" });
    let hit = json!({
        "content": id(), "size": 3, "names": [name], "published_at": 1, "online": 1, "sources": 1
    });
    json!({ "content": id(), "hits": [hit] })
}

#[tokio::test]
async fn no_name_of_an_index_leads_out_of_the_folder() {
    for name in hostile() {
        for (answer, target) in [
            (listing(&name), "alice:/".to_owned()),
            (listing(&name), "alice:/films".to_owned()),
            (details(&name), id()),
        ] {
            let error = wanted(answer, &target).await.expect_err(&name);
            assert!(error.contains("path"), "{name:?}: {error}");
            assert!(!error.chars().any(|c| c != '\n' && c.is_control()), "{name:?}: {error:?}");
        }
    }
    // The same with names that are good.
    for (answer, target, place) in [
        (listing("films/a.mkv"), "alice:/films".to_owned(), "/downloads/films/a.mkv"),
        (details("films/a.mkv"), id(), "/downloads/a.mkv"),
    ] {
        let wanted = wanted(answer, &target).await.unwrap();
        assert_eq!(wanted[0].target, Path::new(place));
    }
}

#[tokio::test]
async fn an_index_cannot_choose_other_files_than_were_asked_for() {
    for name in [".bashrc", ".ssh/authorized_keys", "films2/a.mkv", "film"] {
        let error = wanted(listing(name), "alice:/films").await.expect_err(name);
        assert!(error.contains("does not exist"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_list_without_end_ends() {
    let mut endless = listing("films/a.mkv");
    endless["next"] = "again".into();
    let error = wanted(endless, "alice:/films").await.expect_err("it has no end");
    assert!(error.contains("no end of the list"), "{error}");
    let nothing = json!({ "items": [], "next": "more" });
    let error = wanted(nothing, "alice:/films").await.expect_err("it has no end");
    assert!(error.contains("no end of the list"), "{error}");
}

#[tokio::test]
async fn an_index_cannot_have_anybody_wait_for_ages() {
    let kind = "text/plain\r\nretry-after: 18446744073709551615";
    let url = answering("503 Service Unavailable", kind, String::new()).await;
    for patience in [Duration::ZERO, Duration::from_secs(3600)] {
        let client = IndexClient::new(std::slice::from_ref(&url), patience).unwrap();
        let error = within(client.info()).await.expect_err("it never answers");
        assert!(error.to_string().contains("503"), "{error}");
    }
}
