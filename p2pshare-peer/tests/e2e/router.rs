//! Homes behind a router that lets nobody in unless it is asked to: a real one, miniupnpd on nftables.

use std::{fs, process::Command};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Index, MIB, Namespace, Peer, Process, assert_bytes, noise, skip, until};

/// What the router lets through by itself: what comes from inside, and answers to it.
const RULES: &str = "
table inet miniupnpd {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname \"lan*\" accept
        jump miniupnpd
    }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting {
        type nat hook postrouting priority 100;
        jump postrouting_miniupnpd
        oifname \"wan\" masquerade
    }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
";

const SETTINGS: &str = "
ext_ifname=wan
listening_ip=lan1
listening_ip=lan2
enable_upnp=yes
secure_mode=yes
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=78a7ef56-2d2b-4c3a-a6a4-0d7a1e1f4a11
allow 1024-65535 0.0.0.0/0 1024-65535
";

/// Two machines at home, their router, and somebody far away, who runs the index.
struct Town {
    homes: [Namespace; 2],
    router: Namespace,
    far: Namespace,
    url: String,
    /// Whatever peers say of themselves, they come to it from outside.
    nowhere: Index,
    _running: [Process; 2],
    _files: TempDir,
}

impl Town {
    /// With a router that knows UPnP, and PCP as well if it is told so.
    fn new(pcp: bool) -> Option<Self> {
        let there = |program| {
            Command::new("which").arg(program).output().is_ok_and(|it| it.status.success())
        };
        if !there("nft") || !there("miniupnpd") {
            skip("no router can be run here: it takes nftables and miniupnpd-nftables");
            return None;
        }
        let [home, other, router, far] = Namespace::all(["h", "o", "r", "f"])?;
        home.wire(["eth", "192.168.77.2/24"], &router, ["lan1", "192.168.77.1/24"]);
        other.wire(["eth", "192.168.78.2/24"], &router, ["lan2", "192.168.78.1/24"]);
        // Public addresses, or a router would not be asked, nor give anything.
        far.wire(["eth", "5.5.5.2/24"], &router, ["wan", "5.5.5.1/24"]);
        home.ip(&["route", "add", "default", "via", "192.168.77.1"]);
        other.ip(&["route", "add", "default", "via", "192.168.78.1"]);

        let files = tempfile::tempdir().unwrap();
        let [rules, settings] = ["rules", "settings"].map(|name| files.path().join(name));
        fs::write(&rules, RULES).unwrap();
        let knows = if pcp { "yes" } else { "no" };
        fs::write(&settings, format!("{SETTINGS}enable_natpmp={knows}\n")).unwrap();
        let mut forward = Command::new("sh");
        forward.args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]);
        let mut nft = Command::new("nft");
        nft.arg("-f").arg(&rules);
        for command in [forward, nft] {
            Process::start(router.within(&command)).wait().expect_code(0);
        }
        let mut daemon = Command::new("miniupnpd");
        daemon.arg("-d").arg("-f").arg(&settings).arg("-P").arg(files.path().join("pid"));
        let daemon = Process::start(router.within(&daemon));
        let ready = if pcp { "Listening for NAT-PMP/PCP" } else { "HTTP listening" };
        until("the router", || daemon.stderr().contains(ready).then_some(()));

        let mut index = Command::new(Index::program());
        index.args(["serve", "--listen", "5.5.5.2:0", "--insecure", "--heartbeat-every", "1s"]);
        index.arg("--data-dir").arg(files.path().join("index"));
        let mut index = Process::start(far.within(&index));
        let url = index.wait_for("where the index listens", |lines| {
            lines.first()?.strip_prefix("p2pshare-index is listening on ").map(str::to_owned)
        });
        Some(Self {
            homes: [home, other],
            router,
            far,
            url,
            nowhere: Index::start(),
            _running: [daemon, index],
            _files: files,
        })
    }

    /// Somebody who shares a file at one of the homes.
    fn sharer(&self, home: &Namespace, user: &str, bytes: &[u8]) -> Peer {
        let peer = Peer::new(&self.nowhere, user);
        home.run(&peer, &self.url, &["register", user]).wait().expect_code(0);
        fs::write(peer.path("film"), bytes).unwrap();
        home.run(&peer, &self.url, &["share", "film"]).wait().expect_code(0);
        peer
    }

    fn serve(&self, home: &Namespace, peer: &Peer, options: &[&str]) -> Process {
        let args = [&["serve", "--listen", "0.0.0.0:7401"], options].concat();
        let mut serving = home.run(peer, &self.url, &args);
        serving.wait_for_event("ready");
        serving
    }

    /// Ports that the router lets through.
    fn open_ports(&self) -> usize {
        let mut list = Command::new("nft");
        list.args(["list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd"]);
        let listed = Process::start(self.router.within(&list)).wait().expect_code(0);
        listed.stdout.iter().filter(|line| line.contains("dnat")).count()
    }
}

/// Waits until the router lets others in, and gives where.
fn let_in(serving: &mut Process) -> String {
    serving.wait_for("the router", |lines| {
        let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut told = events.filter_map(|event| Some(event["let_in"].as_str()?.to_owned()));
        told.next_back()
    })
}

#[test]
fn a_router_that_knows_upnp_lets_others_in() {
    others_are_let_in(false);
}

#[test]
fn a_router_that_knows_pcp_lets_others_in() {
    others_are_let_in(true);
}

fn others_are_let_in(pcp: bool) {
    let Some(town) = Town::new(pcp) else { return };
    let [home, other] = &town.homes;
    let (one, two) = (noise(MIB, 1), noise(MIB, 2));
    let alice = town.sharer(home, "alice", &one);
    let carol = town.sharer(other, "carol", &two);
    let bob = Peer::new(&town.nowhere, "bob");
    town.far.run(&bob, &town.url, &["register", "bob"]).wait().expect_code(0);

    let mut closed = town.serve(home, &alice, &["--no-port-mapping"]);
    let told = closed.wait_for_event("unreachable");
    assert_eq!(told["tried"][0]["address"], "tcp://5.5.5.1:7401", "{told}");
    town.far.run(&bob, &town.url, &["get", "alice:/film", "-o", "a"]).wait().expect_code(5);
    assert_eq!(town.open_ports(), 0);
    closed.stop(Signal::TERM).expect_code(0);

    let mut serving = town.serve(home, &alice, &[]);
    assert_eq!(let_in(&mut serving), "5.5.5.1:7401");
    // Another one at the same port: it gets some other one outside.
    let mut beside = town.serve(other, &carol, &[]);
    let second = let_in(&mut beside);
    assert!(second.starts_with("5.5.5.1:") && second != "5.5.5.1:7401", "{second}");
    assert_eq!(town.open_ports(), 2);
    for (user, bytes) in [("alice", &one), ("carol", &two)] {
        let what = format!("{user}:/film");
        town.far.run(&bob, &town.url, &["get", &what, "-o", user]).wait().expect_code(0);
        assert_bytes(&bob.path(user), bytes);
    }

    serving.stop(Signal::TERM).expect_code(0);
    beside.stop(Signal::TERM).expect_code(0);
    assert_eq!(town.open_ports(), 0);
}

#[test]
fn others_find_the_way_when_the_line_gets_another_address() {
    let Some(town) = Town::new(true) else { return };
    let bytes = noise(MIB, 3);
    let alice = town.sharer(&town.homes[0], "alice", &bytes);
    let bob = Peer::new(&town.nowhere, "bob");
    town.far.run(&bob, &town.url, &["register", "bob"]).wait().expect_code(0);
    let mut serving = town.serve(&town.homes[0], &alice, &[]);
    assert_eq!(let_in(&mut serving), "5.5.5.1:7401");

    // What the provider does every night.
    town.router.ip(&["address", "add", "5.5.5.77/24", "dev", "wan"]);
    town.router.ip(&["address", "delete", "5.5.5.1/24", "dev", "wan"]);
    town.router.ip(&["address", "replace", "5.5.5.77/24", "dev", "wan"]);
    until("the new address", || (let_in(&mut serving) == "5.5.5.77:7401").then_some(()));
    town.far.run(&bob, &town.url, &["get", "alice:/film"]).wait().expect_code(0);
    assert_bytes(&bob.path("film"), &bytes);
}
