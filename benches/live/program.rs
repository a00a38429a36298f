//! The programs that are measured, as processes.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

/// Says which program this is to be: it starts itself as each.
pub(crate) const AS: &str = "P2PSHARE_BENCH_AS";

const PASSWORD: &str = "correct horse battery staple";

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program that is killed with the value, and the lines that it prints.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(what: &str, folder: &Path, arguments: &[&str]) -> Self {
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

    /// Starts an index with its data in a folder; gives its URL too.
    pub(crate) fn index(folder: &Path) -> (Self, String) {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "."];
        let index = Self::start("index", folder, &serve);
        let said = index.line("listening on ");
        let url = said.trim().rsplit(' ').next().expect("a line has words").to_owned();
        (index, url)
    }

    /// Waits for a line with `what` in it.
    pub(crate) fn line(&self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("waited for {what:?} in vain"));
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits for an event of this name.
    pub(crate) fn event(&self, name: &str) -> Value {
        let line = self.line(&format!("\"event\":\"{name}\""));
        serde_json::from_str(&line).expect("events are JSON")
    }

    /// Waits until the index knows so many files.
    pub(crate) fn published(&self, total: u64) {
        while self.event("published")["total"] != total {}
    }

    /// Whether the index knows so many files by now.
    pub(crate) fn has_published(&self, total: u64) -> bool {
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
pub(crate) struct Peer {
    pub(crate) folder: PathBuf,
    url: String,
}

impl Peer {
    pub(crate) fn register(place: &Path, url: &str, user: &str) -> Self {
        let folder = place.join(user);
        fs::create_dir(&folder).expect("a folder for a user");
        let peer = Self { folder, url: url.to_owned() };
        peer.run(&["register", user]);
        peer
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Program {
        let global = ["--index", &self.url, "--data-dir", "data", "--json"];
        Program::start("peer", &self.folder, &[&global, arguments].concat())
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let mut program = self.start(arguments);
        let status = program.child.wait().expect("the program was started");
        assert!(
            status.success(),
            "{arguments:?}: {:?}",
            program.lines.try_iter().collect::<Vec<_>>()
        );
    }
}
