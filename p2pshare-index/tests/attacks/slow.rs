//! Clients that take their time, and clients that are many.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use crate::common::process::{LONG, Running, started};

/// Of one attacker's address: as many as the index lets it have, unless told otherwise.
const CROWD: usize = 500;

/// Waits for an answer that an honest client would not wait longer for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody at an address of their own who asks again and again until told to stop.
struct Honest {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Honest {
    fn visits(index: &Running) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        let url = index.url.clone();
        let task = tokio::spawn(async move {
            let client = Client::builder().local_address("127.0.0.2".parse().ok());
            // No connection is kept: each visit needs a new one.
            let client = client.pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
            while !stopped.load(Ordering::Relaxed) {
                let answer = client.get(format!("{url}/v1/index")).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                // It takes a body too, and a turn for the work.
                let body = serde_json::json!({ "username": "nobody", "password": "no password" });
                let answer = client.post(format!("{url}/v1/sessions")).json(&body).send();
                assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, answered, task }
    }

    /// They were served all the time, and are served on, several times more.
    async fn was_served(self) {
        let enough = self.answered.load(Ordering::Relaxed) + 5;
        while self.answered.load(Ordering::Relaxed) < enough && !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every visit was answered");
    }
}

/// An index that lets somebody log in again and again, so that honest clients can show that they are served.
async fn tireless(options: &[&str]) -> Running {
    let rates = ["--logins-per-address", "0", "--logins-per-account", "0"];
    let quiet = ["--store", "memory:", "--log", "error"];
    started(&[&quiet[..], &rates, options].concat()).await
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    timeout(LONG, socket.connect(to)).await.expect("the index takes connections").unwrap()
}

/// Many connections that all begin with `head` and then send a byte at a time, until the index has ended them all.
/// Gives what the index said on each.
async fn trickle(index: &Running, head: &[u8]) -> Vec<String> {
    let mut open = Vec::new();
    for _ in 0..CROWD {
        let mut socket = connect("127.0.0.66", index.address()).await;
        socket.write_all(head).await.unwrap();
        open.push((socket, Vec::new()));
    }
    let begun = Instant::now();
    let mut said = Vec::new();
    while !open.is_empty() {
        assert!(begun.elapsed() < LONG, "{} connections are still open", open.len());
        let mut left = Vec::new();
        for (mut socket, mut heard) in open {
            let written = socket.try_write(b"a");
            let over = match socket.try_read_buf(&mut heard) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            match written {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    let _ = socket.read_to_end(&mut heard).await;
                    said.push(String::from_utf8_lossy(&heard).into_owned());
                }
                _ if over => said.push(String::from_utf8_lossy(&heard).into_owned()),
                _ => left.push((socket, heard)),
            }
        }
        open = left;
        // The attack is slow by itself.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    said
}

const IDLE: usize = 10_000;

/// As many open files as the system lets this process have; the index raises its own limit in the same way.
fn open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap())
}

#[tokio::test]
#[allow(clippy::print_stderr)]
async fn thousands_of_idle_connections_keep_nobody_out() {
    // Some files are for everything else.
    let count = IDLE.min(open_files().saturating_sub(200));
    if count < IDLE {
        eprintln!(
            "ONLY {count} IDLE CONNECTIONS INSTEAD OF {IDLE}: raise the limit of open files (ulimit -Hn)"
        );
    }
    let index = tireless(&["--idle-timeout", "10m"]).await;
    let before = index.resident_kib();

    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let mut socket = connect(&format!("127.0.1.{}", n / CROWD), index.address()).await;
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        idle.push(socket);
    }
    Honest::visits(&index).was_served().await;
    assert!(connections(&index).await > count, "they are all still there");
    let each = (index.resident_kib() - before) * 1024 / count as u64;
    assert!(each < 48 << 10, "{each} bytes for each connection");

    drop(idle);
    let gone = async {
        while connections(&index).await > 10 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.expect("when they go, their places are free");
    assert_eq!(index.stop().await.0, Some(0));
}

/// How many connections the index says are open, this one among them.
async fn connections(index: &Running) -> usize {
    let answer = Client::new().get(format!("{}/metrics", index.url)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix("p2pshare_index_connections "))
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn heads_a_byte_at_a_time_keep_nobody_out() {
    let index = tireless(&["--header-timeout", "2s"]).await;
    let honest = Honest::visits(&index);
    let said = trickle(&index, b"GET /v1/index HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert_eq!(said.len(), CROWD);
    for text in said {
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    }
    honest.was_served().await;
    assert_eq!(index.stop().await.0, Some(0));
}

#[tokio::test]
async fn bodies_a_byte_at_a_time_keep_nobody_out() {
    // Many more slow requests than the index works on at once.
    let index = tireless(&["--request-timeout", "3s", "--concurrent-requests", "16"]).await;
    let honest = Honest::visits(&index);
    let head = b"POST /v1/users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 60000\r\n\r\n";
    let said = trickle(&index, head).await;
    assert_eq!(said.len(), CROWD);
    for text in &said {
        let answer = text.split_once("\r\n").map_or(text.as_str(), |(first, _)| first);
        // Those who were let in were told after the time was over; the others at once.
        let known = ["HTTP/1.1 503 ", "HTTP/1.1 429 "].iter().any(|one| answer.starts_with(one));
        assert!(known || text.is_empty(), "{text}");
    }
    assert!(said.iter().any(|text| text.contains("urn:p2pshare:problem:timeout")), "{said:?}");
    honest.was_served().await;
    assert!(index.peak_kib() < 200 << 10, "{} KiB", index.peak_kib());
    assert_eq!(index.stop().await.0, Some(0));
}
