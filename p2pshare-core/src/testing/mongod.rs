//! A MongoDB replica set for tests, run by `scripts/mongod` of this repository.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Set to 1, it makes it an error that there is no mongod.
const REQUIRE: &str = "P2PSHARE_REQUIRE_MONGOD";

/// A set of servers on this machine, gone with the value.
#[derive(Debug)]
pub struct ReplicaSet {
    uri: String,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl ReplicaSet {
    /// Starts so many members that elect a primary within `election_ms` milliseconds or so. Blocks for some seconds.
    ///
    /// `None` if there is no mongod to be had, which is told on standard error.
    ///
    /// # Panics
    /// If there is none and `P2PSHARE_REQUIRE_MONGOD` is 1.
    pub fn start(members: usize, election_ms: u32) -> Option<Self> {
        Self::run(&[
            "replica-set",
            "--members",
            &members.to_string(),
            "--election-timeout",
            &election_ms.to_string(),
        ])
    }

    /// Starts one server that is in no set.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn standalone() -> Option<Self> {
        Self::run(&["standalone"])
    }

    fn run(arguments: &[&str]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mongod");
        let mut process = Command::new(&script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| complain(&format!("{}: {error}", script.display())))
            .ok()?;
        let (Some(commands), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return None;
        };
        let mut set =
            Self { uri: String::new(), process, commands, answers: BufReader::new(answers) };
        set.uri = set.line();
        if set.uri.is_empty() {
            // That there is no mongod is one thing, that one does not start another.
            let path = Command::new(&script).arg("path").stdout(Stdio::null()).status();
            let is_there = path.is_ok_and(|status| status.success());
            assert!(!is_there, "mongod is there and does not start: see what scripts/mongod said");
            complain("there is no mongod");
            return None;
        }
        Some(set)
    }

    /// The URI, without a database.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The URI of a database.
    pub fn database(&self, name: &str) -> String {
        match self.uri.split_once("/?") {
            Some((hosts, options)) => format!("{hosts}/{name}?{options}"),
            None => format!("{}/{name}", self.uri.trim_end_matches('/')),
        }
    }

    /// Kills a member, as by SIGKILL.
    ///
    /// # Panics
    /// If it cannot be done.
    pub fn kill(&mut self, member: usize) {
        self.command(&format!("kill {member}"), &format!("killed {member}"));
    }

    /// Starts a member again that was killed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self, member: usize) {
        self.command(&format!("start {member}"), &format!("started {member}"));
    }

    /// The member that is the primary, if there is one now.
    pub fn primary(&mut self) -> Option<usize> {
        self.send("primary");
        self.line().strip_prefix("primary ")?.parse().ok()
    }

    /// Waits for a primary.
    ///
    /// # Panics
    /// If there is none after a minute.
    pub fn wait_for_primary(&mut self) -> usize {
        let begun = std::time::Instant::now();
        loop {
            if let Some(primary) = self.primary() {
                return primary;
            }
            assert!(begun.elapsed().as_secs() < 60, "no primary was elected");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn command(&mut self, command: &str, expected: &str) {
        self.send(command);
        let answer = self.line();
        assert_eq!(answer, expected, "scripts/mongod answered {command:?} with something else");
    }

    fn send(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).expect("scripts/mongod takes commands");
    }

    /// The next line; empty if there is none.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("scripts/mongod answers with text");
        line.trim_end().to_owned()
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        // It takes the servers with it. If it has ended already there is nothing to do.
        let _ = self.commands.write_all(b"stop\n");
        let _ = self.process.wait();
    }
}

/// Says past any capture of output that a test did not run.
fn complain(why: &str) {
    let text = format!("\n*** MONGODB IS NOT TESTED: {why}. See scripts/mongod. ***\n\n");
    assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{text}");
    let _ = std::io::stderr().write_all(text.as_bytes());
}
