//! Live folders with real programs: how soon what changes in a shared folder is published, and what others who fetch
//! meanwhile notice of it.
//!
//! ```text
//! cargo bench -p p2pshare-benches --bench live
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use p2pshare_benches::is_smoke_run;
use serde_json::Value;

/// Says which program this is to be: it starts itself as each.
const AS: &str = "P2PSHARE_BENCH_AS";

const PASSWORD: &str = "correct horse battery staple";

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    match env::var(AS).as_deref() {
        Ok("index") => p2pshare_index::cli::run(),
        Ok(_) => p2pshare_peer::cli::main(env::args_os()),
        Err(_) => {
            run();
            ExitCode::SUCCESS
        }
    }
}

fn run() {
    let (files, renamed) = if is_smoke_run() { (200, 50) } else { (10_000, 1000) };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let index = Program::start(
        "index",
        folder.path(),
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", "."],
    );
    let said = index.line("listening on ");
    let url = said.trim().rsplit(' ').next().expect("a line has words").to_owned();
    let [alice, bob] = ["alice", "bob"].map(|user| Peer::register(folder.path(), &url, user));
    let live = alice.folder.join("Live");
    fs::create_dir(&live).expect("a folder to share");
    fs::write(alice.folder.join("served"), vec![7; 3 << 20]).expect("a file to serve");
    alice.run(&["share", "Live"]);
    alice.run(&["share", "served"]);
    let serving = alice.start(&["serve", "--listen", "127.0.0.1:0"]);
    serving.line("\"ready\"");

    let begin = Instant::now();
    fs::write(live.join("one"), "one").expect("a file to share");
    serving.published(2);
    println!("one new file: published after {:.1?}", begin.elapsed());
    let idle = fetches(&bob, |number| number == 5);
    println!("a file of 3 MiB is fetched in {idle:.1?} at most, the start of the program included");

    for number in 0..20 {
        fs::create_dir(live.join(number.to_string())).expect("a folder for files");
    }
    let place = |number: u64| live.join(format!("{}/{number}", number % 20));
    let begin = Instant::now();
    for number in 0..files {
        fs::write(place(number), format!("the file {number}")).expect("a file to share");
    }
    let written = begin.elapsed();
    let slowest = fetches(&bob, |_| serving.has_published(files + 2));
    println!(
        "{files} new files, written within {written:.1?}: published after {:.1?}; fetched meanwhile in {slowest:.1?} at most",
        begin.elapsed()
    );

    let begin = Instant::now();
    for number in 0..renamed {
        fs::rename(place(number), live.join(format!("renamed {number}"))).expect("it is there");
    }
    let mut followed = 0;
    while followed < renamed {
        let event = serving.event("followed");
        assert_eq!(event["hashed"], 0, "what is renamed is not hashed: {event}");
        followed += event["moved"].as_u64().expect("a number");
    }
    serving.published(files + 2);
    println!("{renamed} renamed files: published after {:.1?}, none hashed", begin.elapsed());
}

/// Fetches a file again and again until it is enough; gives the longest time that one took.
fn fetches(bob: &Peer, is_enough: impl Fn(u32) -> bool) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        let begin = Instant::now();
        bob.run(&["get", "alice:/served"]);
        slowest = slowest.max(begin.elapsed());
        fs::remove_file(bob.folder.join("served")).expect("it was fetched");
        if is_enough(number) {
            break;
        }
    }
    slowest
}

/// A program that is killed with the value, and the lines that it prints.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(what: &str, folder: &Path, arguments: &[&str]) -> Self {
        let this = env::current_exe().expect("this program has a path");
        let mut command = Command::new(this);
        command.env(AS, what).env("P2PSHARE_PASSWORD", PASSWORD).args(arguments);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a program can be started");
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let (send, lines) = channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { child, lines }
    }

    /// Waits for a line with `what` in it.
    fn line(&self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("waited for {what:?} in vain"));
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits for an event of this name.
    fn event(&self, name: &str) -> Value {
        let line = self.line(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).expect("events are JSON")
    }

    /// Waits until the index knows so many files.
    fn published(&self, total: u64) {
        while self.event("published")["total"] != total {}
    }

    /// Whether the index knows so many files by now.
    fn has_published(&self, total: u64) -> bool {
        let is_it = |line: String| {
            let event: Value = serde_json::from_str(&line).expect("events are JSON");
            event["event"] == "published" && event["total"] == total
        };
        self.lines.try_iter().any(is_it)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A user with a folder.
struct Peer {
    folder: PathBuf,
    url: String,
}

impl Peer {
    fn register(place: &Path, url: &str, user: &str) -> Self {
        let folder = place.join(user);
        fs::create_dir(&folder).expect("a folder for a user");
        let peer = Self { folder, url: url.to_owned() };
        peer.run(&["register", user]);
        peer
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let global = ["--index", &self.url, "--data-dir", "data", "--json"];
        Program::start("peer", &self.folder, &[&global, arguments].concat())
    }

    /// Runs a command that must succeed.
    fn run(&self, arguments: &[&str]) {
        let mut program = self.start(arguments);
        let status = program.child.wait().expect("the program was started");
        assert!(
            status.success(),
            "{arguments:?}: {:?}",
            program.lines.try_iter().collect::<Vec<_>>()
        );
    }
}
