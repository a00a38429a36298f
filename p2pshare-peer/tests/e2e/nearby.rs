//! Two machines in one network, which know each other's addresses from nobody else.

use std::{
    process::{self, Command},
    time::{Duration, Instant},
};

use crate::support::{Index, MIB, Peer, Process, assert_bytes, noise};

/// Two network namespaces with a wire between them; gone when dropped.
struct Wire {
    ends: [String; 2],
}

impl Wire {
    /// `None`, and a loud line, where no namespaces can be made.
    fn new() -> Option<Self> {
        let ends = ["a", "b"].map(|end| format!("p2p{}{end}", process::id()));
        let wire = Self { ends };
        let [a, b] = &wire.ends;
        let made = ip(&["netns", "add", a])
            && ip(&["netns", "add", b])
            && ip(&["link", "add", a, "netns", a, "type", "veth", "peer", "name", b, "netns", b]);
        if !made {
            println!(
                "SKIPPED: no network namespaces can be made here (it takes root and iproute2)"
            );
            return None;
        }
        for (end, address) in [(a, "10.77.0.1/24"), (b, "10.77.0.2/24")] {
            assert!(ip(&["-n", end, "link", "set", "lo", "up"]));
            assert!(ip(&["-n", end, "address", "add", address, "dev", end]));
            assert!(ip(&["-n", end, "link", "set", end, "up"]));
        }
        Some(wire)
    }

    /// The same command at one end.
    fn at(&self, end: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.ends[end]]).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    fn run(&self, end: usize, peer: &Peer, url: &str, args: &[&str]) -> Process {
        let mut command = peer.command(args);
        command.args(["--json", "--index", url]);
        Process::start(self.at(end, &command))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for end in &self.ends {
            ip(&["netns", "delete", end]);
        }
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).status().is_ok_and(|status| status.success())
}

#[test]
fn a_peer_in_the_same_network_is_found_without_a_useful_address() {
    let Some(wire) = Wire::new() else { return };
    // Whatever it says of itself, peers come to it by the wire.
    let outside = Index::start();
    let (alice, bob) = (Peer::new(&outside, "alice"), Peer::new(&outside, "bob"));
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(Index::program());
    command.args(["serve", "--listen", "10.77.0.1:0", "--insecure", "--data-dir"]).arg(data.path());
    let mut index = Process::start(wire.at(0, &command));
    let url = index.wait_for("where the index listens", |lines| {
        lines.first()?.strip_prefix("p2pshare-index is listening on ").map(str::to_owned)
    });

    wire.run(0, &alice, &url, &["register", "alice"]).wait().expect_code(0);
    wire.run(1, &bob, &url, &["register", "bob"]).wait().expect_code(0);
    let bytes = noise(3 * MIB, 77);
    std::fs::write(alice.path("film"), &bytes).unwrap();
    wire.run(0, &alice, &url, &["share", "film"]).wait().expect_code(0);
    // An address of documentation: it leads nowhere.
    let args = ["serve", "--listen", "0.0.0.0:0", "--advertise", "192.0.2.1:7401"];
    let mut serving = wire.run(0, &alice, &url, &args);
    serving.wait_for_event("ready");

    let alone = wire.run(1, &bob, &url, &["get", "alice:/film", "--no-lan"]).wait();
    alone.expect_code(5);
    // On a busy machine the first answers may come later than a command waits for them.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let got = wire.run(1, &bob, &url, &["get", "alice:/film"]).wait();
        if got.code == Some(0) {
            break;
        }
        let got = got.expect_code(5);
        assert!(Instant::now() < deadline, "{}", got.story());
    }
    assert_bytes(&bob.path("film"), &bytes);
}
