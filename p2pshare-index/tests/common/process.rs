//! The program as its users run it.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

pub const LONG: Duration = Duration::from_secs(60);
const READY: &str = "p2pshare-index is listening on ";

/// The program with these arguments and nothing of this environment.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pshare-index"));
    for (name, _) in std::env::vars_os() {
        if ["P2PSHARE_", "OTEL_"].iter().any(|it| name.to_string_lossy().starts_with(it)) {
            command.env_remove(name);
        }
    }
    // Whoever runs the tests may have a configuration of their own.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// Runs it to its end; gives its exit code and what it wrote.
pub async fn finished(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        timeout(LONG, command.output()).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// An index that runs in a process of its own.
pub struct Running {
    pub child: Child,
    stdout: BufReader<ChildStdout>,
    pub url: String,
}

/// Starts an index on a free port.
pub async fn started(arguments: &[&str]) -> Running {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let mut command = program(&all);
    command.stderr(Stdio::inherit());
    Running::wait_for(command).await
}

impl Running {
    /// Starts `command` and waits until it says where it listens.
    pub async fn wait_for(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(LONG, stdout.read_line(&mut line)).await.expect("it becomes ready").unwrap();
        let url = line.strip_prefix(READY).unwrap_or_else(|| panic!("{line:?}"));
        let url = url.trim_end().to_owned();
        Self { child, stdout, url }
    }

    /// Stops it as a service manager does; gives its exit code and what else it wrote.
    pub async fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut rest = String::new();
        timeout(LONG, self.stdout.read_to_string(&mut rest)).await.unwrap().unwrap();
        let status = timeout(LONG, self.child.wait()).await.expect("it stops").unwrap();
        (status.code(), rest)
    }

    pub async fn post(&self, path: &str, body: &Value) -> StatusCode {
        let answer = Client::new().post(format!("{}{path}", self.url)).json(body).send().await;
        answer.unwrap().status()
    }

    /// Kibibytes of memory that the process has.
    pub fn resident_kib(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Kibibytes of memory that the process has had at most.
    pub fn peak_kib(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let (_, rest) = self.url.split_once("://").unwrap();
        rest.split('#').next().unwrap().parse().unwrap()
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
