//! The program as its users run it.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use common::process::{LONG, Running, finished, program, started, text};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

#[tokio::test]
async fn accounts_and_keys_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let alice = json!({ "username": "alice", "password": "correct horse battery" });
    let key = async |index: &Running| -> Value {
        let info = Client::new().get(format!("{}/v1/index", index.url)).send().await.unwrap();
        info.json::<Value>().await.unwrap()["public_keys"].clone()
    };

    let index = started(&["--data-dir", text(&data), "--name", "Test"]).await;
    assert!(index.url.starts_with("http://127.0.0.1:") && !index.url.ends_with(":0"));
    assert_eq!(index.post("/v1/users", &alice).await, StatusCode::CREATED);
    let first_key = key(&index).await;
    assert_eq!(index.stop().await, (Some(0), String::new()), "one line and no more");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("keys.json"))), (0o700, 0o600));

    let index = started(&["--data-dir", text(&data)]).await;
    assert_eq!(index.post("/v1/sessions", &alice).await, StatusCode::CREATED);
    assert_eq!(key(&index).await, first_key);
    assert_eq!(index.stop().await.0, Some(0));

    fs::set_permissions(data.join("keys.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, out, err) = finished(program(&["serve", "--data-dir", text(&data)])).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("keys.json") && err.contains("chmod 600"), "{err}");
}

#[tokio::test]
async fn keys_that_are_changed_at_the_same_time_are_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let keys = |arguments: &[&str]| {
        program(&[&["keys"], arguments, &["--data-dir", text(dir.path())]].concat())
    };
    let (code, _, err) = finished(keys(&["rotate"])).await;
    assert_eq!(code, Some(1), "there is no key yet");
    assert!(err.contains("keys.json") && err.contains("serve"), "{err}");

    let index = started(&["--data-dir", text(dir.path())]).await;
    let rotations = [(); 4].map(|()| tokio::spawn(finished(keys(&["rotate", "--after", "1h"]))));
    let mut made = 0;
    for rotation in rotations {
        // Those that come in the same millisecond are refused: a key must begin later than the one before it.
        let (code, out, err) = rotation.await.unwrap();
        assert!(code == Some(0) && out.contains("signs from") || err.contains("later"), "{err}");
        made += usize::from(code == Some(0));
    }
    let (_, list, _) = finished(keys(&["list", "--json"])).await;
    let list: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(list.len(), 1 + made, "none is lost");
    assert_eq!(list[0]["state"], "signs");
    assert!(list[1..].iter().all(|key| key["state"] == "will sign"));

    // The index follows, and the one that signs is the same.
    let told = async || -> Vec<Value> {
        let info = Client::new().get(format!("{}/v1/index", index.url)).send().await.unwrap();
        let info: Value = info.json().await.unwrap();
        info["public_keys"].as_array().unwrap().clone()
    };
    timeout(LONG, async {
        while told().await.len() != list.len() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the index follows the file");
    let before = told().await;

    // What is damaged changes nothing, neither for the index that runs nor for who would add to it.
    fs::write(dir.path().join("keys.json"), "{").unwrap();
    let (code, _, err) = finished(keys(&["rotate"])).await;
    assert!(code == Some(1) && err.contains("damaged"), "{err}");
    assert_eq!(told().await, before);
}

#[tokio::test]
async fn operators_manage_accounts_beside_a_running_index() {
    let dir = tempfile::tempdir().unwrap();
    let data = text(dir.path());
    let user = |arguments: &[&str]| {
        let mut all = vec!["user"];
        all.extend(arguments);
        all.extend(["--data-dir", data]);
        program(&all)
    };

    let mut create = user(&["create", "root", "--admin", "--password-stdin"]);
    let mut create = create.stdin(Stdio::piped()).spawn().unwrap();
    create.stdin.take().unwrap().write_all(b"the first password\n").await.unwrap();
    assert!(timeout(LONG, create.wait()).await.unwrap().unwrap().success());
    let mut create = user(&["create", "bob"]);
    create.env("P2PSHARE_PASSWORD", "the second password");
    assert_eq!(finished(create).await.0, Some(0));

    let index = started(&["--data-dir", data, "--registration", "closed"]).await;
    let bob = json!({ "username": "bob", "password": "the second password" });
    let carol = json!({ "username": "carol", "password": "the third password" });
    assert_eq!(index.post("/v1/users", &carol).await, StatusCode::FORBIDDEN);
    assert_eq!(index.post("/v1/sessions", &bob).await, StatusCode::CREATED);
    assert_eq!(finished(user(&["disable", "bob"])).await.0, Some(0));
    assert_eq!(index.post("/v1/sessions", &bob).await, StatusCode::FORBIDDEN);

    let (code, out, _) = finished(user(&["list", "--json"])).await;
    assert_eq!(code, Some(0));
    let listed: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["username"], &listed[0]["disabled"]), (&json!("bob"), &json!(true)));
    assert_eq!((&listed[1]["username"], &listed[1]["operator"]), (&json!("root"), &json!(true)));

    assert_eq!(finished(user(&["enable", "bob"])).await.0, Some(0));
    // A session follows what its account may.
    let login = Client::new().post(format!("{}/v1/sessions", index.url)).json(&bob);
    let session: Value = login.send().await.unwrap().json().await.unwrap();
    let seen = async || {
        let users = Client::new().get(format!("{}/v1/operator/users", index.url));
        users.bearer_auth(session["token"].as_str().unwrap()).send().await.unwrap().status()
    };
    assert_eq!(seen().await, StatusCode::FORBIDDEN);
    assert_eq!(finished(user(&["promote", "bob"])).await.0, Some(0));
    assert_eq!(seen().await, StatusCode::OK);
    let (code, out, _) = finished(user(&["demote", "bob"])).await;
    assert_eq!((code, out.as_str()), (Some(0), "bob is no operator any more\n"));
    assert_eq!(seen().await, StatusCode::FORBIDDEN);
    let (code, out, _) = finished(user(&["demote", "root"])).await;
    assert!(code == Some(0) && out.contains("Nobody operates this index now"), "{out}");
    assert_eq!(finished(user(&["promote", "root"])).await.0, Some(0));
    let (code, _, err) = finished(user(&["promote", "nobody"])).await;
    assert!(code == Some(1) && err.contains("nobody"), "{err}");
    let mut reset = user(&["reset-password", "bob"]);
    reset.env("P2PSHARE_PASSWORD", "the fourth password");
    assert_eq!(finished(reset).await.0, Some(0));
    assert_eq!(index.post("/v1/sessions", &bob).await, StatusCode::UNAUTHORIZED);

    let (code, _, err) = finished(user(&["disable", "nobody"])).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("nobody"), "{err}");
    let (code, _, err) = finished(user(&["delete", "bob"])).await;
    assert!(code == Some(2) && err.contains("--yes"), "{err}");
    assert_eq!(finished(user(&["delete", "bob", "--yes"])).await.0, Some(0));
    let (code, _, err) = finished(user(&["delete", "bob", "--yes"])).await;
    assert!(code == Some(1) && err.contains("bob"), "{err}");
    let (code, _, err) = finished(user(&["create", "dave"])).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("--password-stdin"), "{err}");
    assert_eq!(index.stop().await.0, Some(0));
}

#[tokio::test]
async fn wrong_usage_is_told_and_has_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.toml");
    fs::write(&file, "[server]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["serve", "--config", text(&file)], "lisen"),
        (&["serve", "--store", "redis://localhost"], "redis"),
        (&["serve", "--listen", "0.0.0.0:0", "--store", "memory:"], "--insecure"),
        (&["serve", "--registration", "some"], "some"),
        (&["user", "--store", "memory:", "list"], "memory"),
    ];
    for (arguments, named) in cases {
        let (code, out, err) = finished(program(arguments)).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(named), "{arguments:?}: {err}");
    }
    let mut variable = program(&["serve", "--store", "memory:"]);
    variable.env("P2PSHARE_INDEX_LISTEN", "nowhere");
    let (code, _, err) = finished(variable).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("nowhere"), "{err}");
}

#[tokio::test]
async fn the_url_of_all_addresses_is_one_that_answers() {
    let serve = ["serve", "--listen", "0.0.0.0:0", "--store", "memory:", "--insecure"];
    let index = Running::wait_for(program(&serve)).await;
    let address: std::net::SocketAddr = index.url.strip_prefix("http://").unwrap().parse().unwrap();
    // With a way out of this machine others are on it.
    let way = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|it| it.connect("192.0.2.1:9"));
    assert_eq!(address.ip().is_unspecified(), way.is_err(), "{}", index.url);
    let answer = Client::new().get(format!("{}/v1/index", index.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(index.stop().await.0, Some(0));
}

#[tokio::test]
async fn its_own_certificate_stays_and_is_in_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", text(dir.path()), "--tls-self-signed", "--store", "memory:"];
    let pin = |index: &Running| index.url.split_once("#sha256=").unwrap().1.to_owned();
    let index = started(&arguments).await;
    let first = pin(&index);
    assert!(index.url.starts_with("https://127.0.0.1:"));
    assert!(first.len() == 64 && first.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(index.stop().await.0, Some(0));
    let index = started(&arguments).await;
    assert_eq!(pin(&index), first);
    assert_eq!(index.stop().await.0, Some(0));
}

#[tokio::test]
async fn where_it_cannot_listen_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) =
        finished(program(&["serve", "--store", "memory:", "--listen", &address])).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("another program uses port") && err.contains("--listen"), "{err}");
    // Reserved for documents (RFC 5737): no machine has it.
    let elsewhere = ["serve", "--store", "memory:", "--insecure", "--listen", "192.0.2.1:7400"];
    let (code, _, err) = finished(program(&elsewhere)).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no address 192.0.2.1"), "{err}");
}

#[tokio::test]
async fn what_it_prints_for_others() {
    let (code, out, _) = finished(program(&["openapi"])).await;
    assert_eq!(code, Some(0));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let (code, out, _) = finished(program(&["completions", "bash"])).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("p2pshare-index"));
    let (code, out, _) = finished(program(&["serve", "--help"])).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("P2PSHARE_INDEX_LISTEN") && out.contains("[data]"), "{out}");
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_no_secret() {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]);
    command.args(["--log", "trace", "--log-format", "json"]);
    let mut index = Running::wait_for(command).await;
    let mut log = index.child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut text = String::new();
        log.read_to_string(&mut text).await.map(|_| text)
    });

    let (right, wrong) = ("the right password", "the wrong password");
    let credentials = |password| json!({ "username": "alice", "password": password });
    assert_eq!(index.post("/v1/users", &credentials(right)).await, StatusCode::CREATED);
    assert_eq!(index.post("/v1/sessions", &credentials(wrong)).await, StatusCode::UNAUTHORIZED);
    let client = Client::new();
    let login = client.post(format!("{}/v1/sessions", index.url)).json(&credentials(right));
    let login = login.header("x-request-id", "my-login").send().await.unwrap();
    let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let out = client.delete(format!("{}/v1/sessions/current", index.url)).bearer_auth(&token);
    assert!(out.send().await.unwrap().status().is_success());
    assert_eq!(index.stop().await.0, Some(0));

    let log = log.await.unwrap().unwrap();
    let events: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["target"] == "audit")
        .collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["outcome"].as_str().unwrap()))
        .collect();
    let expected =
        [("register", "done"), ("login", "refused"), ("login", "done"), ("logout", "done")];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event["user"] == "alice" && event["client"] == "127.0.0.1"));
    assert_eq!(events[1]["reason"], "wrong-credentials");
    assert_eq!(events[2]["request"], "my-login");
    for secret in [right, wrong, &token, "$argon2"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
