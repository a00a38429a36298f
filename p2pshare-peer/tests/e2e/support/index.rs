//! A running `p2pshare-index`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    clean,
    process::{Ended, PATIENCE, Process},
};

/// An index with its own data directory. It keeps its address when it is started again.
pub(crate) struct Index {
    dir: TempDir,
    address: SocketAddr,
    url: String,
    options: Vec<String>,
    process: Option<Process>,
}

impl Index {
    /// An index on SQLite.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// An index with more options for `serve`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let mut index = Self {
            dir: tempfile::tempdir().expect("a folder for the index"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            url: String::new(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            process: None,
        };
        index.go_on();
        index
    }

    /// Starts it again where it was, after it was stopped or killed.
    pub(crate) fn go_on(&mut self) {
        assert!(self.process.is_none(), "the index runs already");
        let mut command = clean(Command::new(program()));
        command.args(["serve", "--listen", &self.address.to_string(), "--data-dir"]);
        command.arg(self.dir.path()).args(&self.options);
        let mut process = Process::start(command);
        let url = process.wait_for("the line that says where the index listens", |lines| {
            lines.first()?.strip_prefix("p2pshare-index is listening on ").map(str::to_owned)
        });
        let (_, address) = url.split_once("://").expect("a URL");
        let address = address.split('#').next().expect("something before the fingerprint");
        self.address = address.parse().expect("an address");
        self.url = url;
        self.process = Some(process);
    }

    /// The program itself.
    pub(crate) fn program() -> PathBuf {
        program()
    }

    /// As the index prints it.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().expect("the index runs").kill();
    }

    pub(crate) fn stop(&mut self, signal: Signal) -> Ended {
        self.process.take().expect("the index runs").stop(signal)
    }

    /// Does a command of the operator's, beside the running index.
    pub(crate) fn tool(&self, args: &[&str]) -> Ended {
        let mut command = clean(Command::new(program()));
        command.args(args).arg("--data-dir").arg(self.dir.path());
        Process::start(command).wait().expect_code(0)
    }

    /// Asks for a path, with a token; gives the status and the body. A client of its own, so that the peer's is not
    /// taken for right.
    pub(crate) fn http_get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut socket = TcpStream::connect(self.address).expect("the index listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        let auth =
            token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
        let host = self.address;
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{auth}connection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).expect("the index reads");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("the index answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no HTTP: {answer}")), answer)
    }

    /// Requests that it has answered so far to clients of peers.
    pub(crate) fn requests(&self) -> u64 {
        let (_, metrics) = self.http_get("/metrics", None);
        let counts = metrics.lines().filter(|line| {
            line.starts_with("p2pshare_index_requests_total{") && line.contains("/v1/")
        });
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// The program, which lies beside the peer's.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_p2pshare-peer"))
        .with_file_name(format!("p2pshare-index{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is missing: build it first: cargo build --bin p2pshare-index",
        program.display()
    );
    program
}
