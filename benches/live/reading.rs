//! Reading contents in order through the gateway, beside downloading others of the same size: from a source that sends as
//! fast as it can, and from one with a limit, where the order in which pieces come is all that can cost time.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use p2pshare_benches::{is_smoke_run, median};
use serde_json::{Value, json};

use crate::program::{Peer, Program};

const MIB: usize = 1 << 20;

/// How often it is asked whether a download is done.
const ASK_EVERY: Duration = Duration::from_millis(2);

pub(crate) fn run() {
    let (runs, free, limited, rate) = match is_smoke_run() {
        true => (1, 4, 4, "8MiB"),
        false => (7, 96, 48, "24MiB"),
    };
    measure("as fast as it can", runs, free, None);
    measure(&format!("at {rate} a second"), runs, limited, Some(rate));
}

/// Downloads and reads by turns, and prints the middle of what each took.
fn measure(how: &str, runs: usize, mib: usize, rate: Option<&str>) {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let (_index, url) = Program::index(place.path());
    let [alice, bob] = ["alice", "bob"].map(|user| Peer::register(place.path(), &url, user));
    let shared = alice.folder.join("Films");
    fs::create_dir(&shared).expect("a folder to share");
    // The first two warm up connections and caches of both ways.
    let mut ids = Vec::new();
    for number in 0..2 * (runs + 1) {
        let mut film = vec![0; mib * MIB];
        film[..8].copy_from_slice(&(number as u64).to_le_bytes());
        fs::write(shared.join(format!("{number}.mkv")), &film).expect("a file to share");
        ids.push(blake3::hash(&film).to_hex().to_string());
    }
    alice.run(&["share", "Films"]);
    let mut serve = vec!["serve", "--listen", "127.0.0.1:0"];
    serve.extend(rate.iter().flat_map(|rate| ["--upload-limit", rate]));
    let serving = alice.start(&serve);
    serving.line("\"ready\"");
    let node = bob.start(&["serve", "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0"]);
    node.line("\"ready\"");
    let local = Local::of(&bob.folder);

    let (mut downloads, mut readings) = (Vec::new(), Vec::new());
    for (number, pair) in ids.chunks(2).enumerate() {
        // Who is first changes too.
        let mut took = [Duration::ZERO; 2];
        for way in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            took[way] = match way {
                0 => local.download(&pair[0], &bob.folder.join("got")),
                _ => local.read(&pair[1], mib * MIB),
            };
        }
        fs::remove_dir_all(bob.folder.join("got")).expect("it was downloaded");
        if number > 0 {
            downloads.push(took[0]);
            readings.push(took[1]);
        }
    }
    let (download, reading) = (median(&mut downloads), median(&mut readings));
    println!(
        "{mib} MiB {how}: downloaded in {download:.3?}, read in order through the gateway in {reading:.3?}: {:.3} times as long (middle of {runs})",
        reading.as_secs_f64() / download.as_secs_f64()
    );
}

/// The local server of a running peer.
struct Local {
    address: String,
    token: String,
}

impl Local {
    fn of(folder: &Path) -> Self {
        let control = fs::read(folder.join("data/control.json")).expect("a peer that runs");
        let control: Value = serde_json::from_slice(&control).expect("JSON");
        let text = |name: &str| control[name].as_str().expect("a text").to_owned();
        let address = text("url").trim_start_matches("http://").to_owned();
        Self { address, token: text("token") }
    }

    /// How long a download takes until it is done.
    fn download(&self, content: &str, folder: &Path) -> Duration {
        let begin = Instant::now();
        let new = json!({ "what": [content], "folder": folder }).to_string();
        let begun = self.json("POST /api/downloads", &new);
        let path = format!("GET /api/downloads/{}", begun["id"]);
        loop {
            let download = self.json(&path, "");
            match download["state"].as_str() {
                Some("done") => return begin.elapsed(),
                Some("failed") => panic!("{download}"),
                _ => thread::sleep(ASK_EVERY),
            }
        }
    }

    /// How long it takes to read a content from its beginning to its end.
    fn read(&self, content: &str, len: usize) -> Duration {
        let begin = Instant::now();
        let mut answer = self.ask(&format!("GET /content/{content}/film.mkv"), "");
        let mut buffer = vec![0; 256 << 10];
        let mut got = 0;
        loop {
            match answer.read(&mut buffer).expect("the content comes") {
                0 => break,
                read => got += read,
            }
        }
        assert_eq!(got, len, "the content is not whole");
        begin.elapsed()
    }

    fn json(&self, request: &str, body: &str) -> Value {
        let mut text = String::new();
        self.ask(request, body).read_to_string(&mut text).expect("an answer");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{request}: {text}"))
    }

    /// The body of an answer, which must be one of success.
    fn ask(&self, request: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).expect("the peer runs");
        let head = format!(
            "{request} HTTP/1.0\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("the peer listens");
        let mut answer = BufReader::with_capacity(256 << 10, stream);
        let mut lines = String::new();
        while answer.read_line(&mut lines).expect("an answer") > 2 {}
        assert!(lines.contains(" 20"), "{request}: {lines}");
        answer
    }
}
