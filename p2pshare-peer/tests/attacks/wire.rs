//! What somebody sees who reads every byte between two peers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use p2pshare_core::content::Manifest;
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector, PushProposal, RemotePeer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    Grants, Guard, Inbox, PIECE, Server, Setup, bytes, client_tls, name, source_of, whole, within,
};

/// Passes on every byte, and keeps it.
struct Wiretap {
    addr: SocketAddr,
    /// All that went in either direction on each connection.
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// The bytes of one direction of one connection.
type Heard = Arc<Mutex<Vec<u8>>>;

impl Wiretap {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (to, all) = (server.addr, heard.clone());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(to).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                for (from, to) in [(from_client, to_server), (from_server, to_client)] {
                    let heard = Heard::default();
                    all.lock().unwrap().push(heard.clone());
                    tokio::spawn(pass_on(from, to, heard));
                }
            }
        });
        Self { addr, heard }
    }

    fn peer(&self, server: &Server, security: ClientSecurity) -> RemotePeer {
        let addr = PeerAddr::from_socket(self.addr).unwrap();
        PeerConnector::new(security, ClientLimits::default()).peer(server.key.peer_id(), vec![addr])
    }

    fn contains(&self, needle: &[u8]) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().any(|heard| {
            let heard = heard.lock().unwrap();
            heard.windows(needle.len()).any(|window| window == needle)
        })
    }

    /// Whether a header has this text, as HPACK writes it (RFC 7541, appendix B). Wherever in a byte it begins.
    fn contains_in_header(&self, text: &str) -> bool {
        let bits: Vec<u8> = text.chars().flat_map(short_code).collect();
        (0..8).any(|skipped| {
            let whole = bits[skipped..].chunks_exact(8);
            let needle: Vec<u8> =
                whole.map(|bits| bits.iter().fold(0, |byte, bit| (byte << 1) | bit)).collect();
            self.contains(&needle)
        })
    }

    fn len(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|heard| heard.lock().unwrap().len()).sum()
    }
}

/// The code of a character among those whose codes have five bits.
fn short_code(c: char) -> impl Iterator<Item = u8> {
    let code = "012aceiost".find(c).expect("a character with a short code");
    (0..5).rev().map(move |bit| u8::from(code >> bit & 1 == 1))
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: Heard) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        heard.lock().unwrap().extend_from_slice(&buffer[..len]);
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

const MARKER: &[u8; 32] = b"the marker that nobody may see!!";
/// A user, and so the end of the grant.
const USER: &str = "ototo0seacoast1attic2";
const NAME: &str = "a name that nobody may see.txt";

/// A content with the marker in it.
fn marked(len: usize) -> Bytes {
    let mut content = bytes(len).to_vec();
    content[PIECE + 100..][..MARKER.len()].copy_from_slice(MARKER);
    content.into()
}

/// Fetches one content and pushes another, all past the wiretap; gives it, and what must not be seen.
async fn transfer(tls: bool) -> (Wiretap, Vec<(&'static str, Vec<u8>)>) {
    let source = MemorySource::new();
    let fetched = marked(3 * PIECE + 700);
    let id = source.insert(fetched.clone()).id();
    let mut setup = if tls { Setup::tls(&source) } else { Setup::plain(&source) };
    let inbox = Arc::new(Inbox::default());
    setup.receiver = Some(inbox.clone());
    let server = setup.start().await;
    let tap = Wiretap::before(&server).await;
    let security = match tls {
        true => client_tls(&PeerKey::generate().unwrap()),
        false => ClientSecurity::Plain,
    };
    let peer = tap.peer(&server, security);

    let remote = source_of(&peer, USER);
    within(remote.manifest(&id)).await.unwrap();
    assert!(whole(&remote, &id).await.unwrap() == fetched);

    let own = MemorySource::new();
    let pushed = fetched.slice(..2 * PIECE + 1);
    let manifest = own.insert(pushed.clone());
    push(&peer, &own, &manifest).await;
    let sinks = inbox.sinks.lock().unwrap();
    assert!(sinks[&(USER.parse().unwrap(), manifest.id())].finished().unwrap() == pushed);

    let at = |offset: usize| fetched[offset..offset + 32].to_vec();
    let secrets = vec![
        ("the marker", MARKER.to_vec()),
        ("the beginning", at(0)),
        ("the end", at(fetched.len() - 32)),
        ("bytes in the middle", at(2 * PIECE - 32)),
        ("the id", id.as_bytes().to_vec()),
        ("the name", NAME.as_bytes().to_vec()),
    ];
    (tap, secrets)
}

async fn push(peer: &RemotePeer, own: &MemorySource, manifest: &Manifest) {
    let proposal = PushProposal { name: name(NAME), manifest: manifest.clone() };
    within(peer.push(&proposal, own, &*Grants::of(USER), &|_| {})).await.unwrap();
}

#[tokio::test]
async fn nothing_is_seen_between_two_peers() {
    let (tap, secrets) = transfer(true).await;
    for (what, secret) in secrets {
        assert!(!tap.contains(&secret), "{what} is seen");
    }
    assert!(!tap.contains_in_header(USER) && !tap.contains(USER.as_bytes()), "the grant is seen");
    assert!(!tap.contains(Guard::GRANT.as_bytes()), "the grant is seen");
    assert!(tap.len() > 5 * PIECE, "the bytes went elsewhere");
}

/// So that the one above can fail.
#[tokio::test]
async fn without_encryption_all_is_seen() {
    let (tap, secrets) = transfer(false).await;
    for (what, secret) in secrets {
        assert!(tap.contains(&secret), "{what} is not seen");
    }
    assert!(tap.contains_in_header(USER), "the grant is not seen");
}
