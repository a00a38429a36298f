//! A peer as a service of the system: what its manager is told, and what the journal is not.

use std::{os::unix::net::UnixDatagram, path::Path, process::Command};

use rustix::process::Signal;

use crate::support::{Index, PATIENCE, Peer, Process, begun_by};

/// What a service's manager is told.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// Reads what comes until it is this.
    fn expect(&self, expected: &[&str]) {
        let mut buffer = [0; 4096];
        loop {
            let len =
                self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("{expected:?}: {error}"));
            let told = std::str::from_utf8(&buffer[..len]).unwrap();
            if told.lines().eq(expected.iter().copied()) {
                break;
            }
        }
    }
}

#[test]
fn its_manager_is_told_how_it_is_and_the_journal_no_secret() {
    let index = Index::start();
    let alice = Peer::new(&index, "alice");
    let manager = Manager::at(&alice.path("manager"));
    let serve = alice.command(["serve", "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3>&1; export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/3); exec \"$0\" \"$@\" 3>&-"]);
    shell.env("NOTIFY_SOCKET", alice.path("manager"));
    let serving = Process::start(begun_by(shell, &serve));
    // It has started, though it can do nothing yet.
    manager.expect(&["READY=1", "STATUS=nobody is logged in"]);
    alice.ok(["register", "alice"]);
    manager.expect(&["STATUS=online, sharing 0 files"]);
    alice.share_file("film", b"film");
    manager.expect(&["STATUS=online, sharing 1 file"]);
    alice.ok(["logout"]);
    manager.expect(&["STATUS=nobody is logged in"]);
    let stdout = serving.stdout().join("\n");
    serving.signal(Signal::TERM);
    manager.expect(&["STOPPING=1"]);
    serving.wait().expect_code(0);
    assert!(stdout.contains("p2pshare-peer ui"), "{stdout}");
    assert!(!stdout.contains("token"), "{stdout}");
}
