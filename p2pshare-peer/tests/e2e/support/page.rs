//! The local server of a running peer, asked by a client of its own, so that the peer's is not taken for right.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use super::{Peer, process::PATIENCE};

/// Where a peer serves its page, and what its owner shows it.
pub(crate) struct Page {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Page {
    /// As the control file of a running peer says.
    pub(crate) fn of(peer: &Peer) -> Self {
        let file = fs::read(peer.data_dir().join("control.json")).expect("the peer has a page");
        let control: Value = serde_json::from_slice(&file).expect("JSON");
        let text = |key: &str| control[key].as_str().expect("a text").to_owned();
        let url = text("url");
        let address = url.strip_prefix("http://").expect("plain HTTP").parse().expect("an address");
        Self { address, token: text("token") }
    }

    /// Sends a request with these header lines and nothing else; gives the open connection.
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).expect("the page is served");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        // HTTP/1.0: the body ends with the connection.
        let mut head = format!("{line} HTTP/1.0\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).expect("the head is read");
        // It may be refused before it is read.
        let _ = socket.write_all(body);
        socket
    }

    /// The same with the right host, to the end of the answer.
    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("host: {}", self.address);
        let headers: Vec<_> =
            std::iter::once(host.as_str()).chain(headers.iter().copied()).collect();
        Answer::read(self.send(line, &headers, body.as_bytes()))
    }

    /// The header with which the owner's own processes are let in.
    pub(crate) fn bearer(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    /// A call of the owner's; `null` sends no body.
    pub(crate) fn call(&self, line: &str, body: &Value) -> Answer {
        let (bearer, json) = (self.bearer(), "content-type: application/json");
        match body {
            Value::Null => self.ask(line, &[&bearer], ""),
            body => self.ask(line, &[&bearer, json], &body.to_string()),
        }
    }

    /// A call that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str, body: &Value) -> Value {
        let answer = self.call(line, body);
        assert!((200..300).contains(&answer.status), "{line}: {answer:?}");
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// A call that only reads.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ok(&format!("GET {path}"), &Value::Null)
    }

    /// Sends at most so many bytes a second from now on, `None`: as many as it can.
    pub(crate) fn limit_uploads(&self, bytes_per_second: Option<usize>) {
        self.ok("PUT /api/settings", &json!({ "upload_limit": bytes_per_second }));
    }

    /// Sends so little from now on that no piece comes whole within any test, and yet it does not stall.
    pub(crate) fn hold_uploads(&self) {
        self.limit_uploads(Some(1024));
    }

    /// The cookie that a one-time URL is changed for, as a header line.
    pub(crate) fn cookie(&self, url: &str) -> String {
        let answer = self.ask(&format!("GET {}", path_of(url)), &[], "");
        assert_eq!(answer.status, 303, "{answer:?}");
        let set = answer.header("set-cookie").expect("a cookie").to_owned();
        format!("cookie: {}", set.split(';').next().expect("a pair"))
    }
}

impl Answer {
    pub(crate) fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that refuses early may reset the connection once it has answered.
        let _ = socket.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.expect("a status"), head, body: bytes.split_off(end + 4) }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (is, value) = line.split_once(':')?;
            is.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last part of a problem's type.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["type"].as_str().expect("a type").rsplit(':').next().expect("a part").to_owned()
    }
}

/// The path and query of a URL.
pub(crate) fn path_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    &rest[rest.find('/').expect("a path")..]
}
