//! A line so slow that a frame takes longer than a peer may be silent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{ClientLimits, PeerConnector, PushProgress, PushProposal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::support::{Grants, Inbox, Setup, bytes, client_tls, name, segments, source_of, within};

/// What a line carries in one direction.
#[derive(Clone)]
struct Pace {
    /// So many bytes every 50 ms.
    bytes: usize,
    /// Nothing while it is cut.
    cut: Arc<AtomicBool>,
}

impl Pace {
    fn new(bytes: usize) -> Self {
        Self { bytes, cut: Arc::default() }
    }

    async fn carry(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut part = vec![0; self.bytes];
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.cut.load(Relaxed) {
                continue;
            }
            match from.read(&mut part).await {
                Ok(len) if len > 0 && to.write_all(&part[..len]).await.is_ok() => {}
                _ => return,
            }
        }
    }
}

/// A line to a server, with how fast it is up, to the server, and down.
async fn line(to: SocketAddr, up: Pace, down: Pace) -> SocketAddr {
    // Its own sockets take as little ahead as the system lets them.
    let socket = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.set_send_buffer_size(16 << 10).unwrap();
        socket
    };
    let near = socket();
    near.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = near.listen(8).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (near_read, near_write) = near.into_split();
            let far = socket().connect(to).await.unwrap();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(up.clone().carry(near_read, far_write));
            tokio::spawn(down.clone().carry(far_read, near_write));
        }
    });
    addr
}

#[tokio::test]
async fn a_slow_peer_is_not_silent_and_a_silent_one_is_given_up() {
    let memory = MemorySource::new();
    let data = bytes(600 << 10);
    let id = memory.insert(data.clone()).id();
    let server = Setup::tls(&memory).start().await;
    let down = Pace::new(4096);
    let cut = down.cut.clone();
    let line = line(server.addr, Pace::new(4096), down).await;
    // A segment takes more than three seconds.
    let stall_timeout = Duration::from_secs(2);
    let limits = ClientLimits { stall_timeout, ..ClientLimits::default() };
    let security = client_tls(&PeerKey::generate().unwrap());
    let addrs = vec![PeerAddr::from_socket(line).unwrap()];
    let peer = PeerConnector::new(security, limits).peer(server.key.peer_id(), addrs);
    let remote = source_of(&peer, "anna");

    let got = segments(remote.fetch(&id, &[]).await.unwrap()).await.unwrap();
    assert!(got.iter().flat_map(|segment| segment.data.iter()).eq(data.iter()));

    let mut stream = remote.fetch(&id, &[]).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    cut.store(true, Relaxed);
    let error = loop {
        match within(stream.next()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransferError::Stalled(time) if time == stall_timeout), "{error:?}");
}

/// Many pushes share a line, so that each of them takes longer than a peer may be silent: some of what is sent is still on
/// its way when all of it has been handed on.
#[tokio::test]
async fn pushes_over_a_slow_line_arrive_and_tell_how_far_they_are() {
    const PUSHES: usize = 6;
    const LEN: usize = 3 << 20;
    // A megabyte a second. What the sockets take ahead is far less than what passes in this time.
    const SPEED: usize = (1 << 20) / 20;
    let patience = Duration::from_secs(8);
    let memory = MemorySource::new();
    let mut setup = Setup::tls(&memory);
    setup.receiver = Some(Arc::new(Inbox::default()));
    setup.limits.stall_timeout = patience;
    let server = setup.start().await;
    let line = line(server.addr, Pace::new(SPEED), Pace::new(SPEED)).await;
    let limits = ClientLimits {
        stall_timeout: patience,
        answer_timeout: patience,
        ..ClientLimits::default()
    };
    let security = client_tls(&PeerKey::generate().unwrap());
    let addrs = vec![PeerAddr::from_socket(line).unwrap()];
    let peer = PeerConnector::new(security, limits).peer(server.key.peer_id(), addrs);

    let begun = Instant::now();
    let (told, soonest) = (&Mutex::new(0), &Mutex::new(None));
    let pushes = (0..PUSHES).map(|number| {
        let (memory, peer) = (&memory, &peer);
        async move {
            let manifest = memory.insert(bytes(LEN + number));
            let proposal = PushProposal { name: name(&format!("{number}")), manifest };
            let progress = |progress| {
                if let PushProgress::Sent { bytes } = progress {
                    let mut told = told.lock().unwrap();
                    *told += bytes;
                    if *told >= (12 << 20) {
                        soonest.lock().unwrap().get_or_insert(begun.elapsed());
                    }
                }
            };
            peer.push(&proposal, memory, &*Grants::of("anna"), &progress).await
        }
    });
    for received in join_all(pushes).await {
        received.unwrap();
    }
    let end = begun.elapsed();
    let all = (0..PUSHES).map(|number| LEN + number).sum::<usize>();
    assert_eq!(*told.lock().unwrap(), all as u64);
    // Two thirds are not told as soon as they are in memory.
    let soonest = soonest.lock().unwrap().unwrap();
    assert!(soonest > end / 4, "{soonest:?} of {end:?}");
}
