//! A line so slow that a frame takes longer than a peer may be silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::StreamExt;
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{ClientLimits, PeerConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Setup, bytes, client_tls, segments, source_of, within};

/// A line to a server that carries 4 KiB every 50 ms from it, or nothing while it is cut.
async fn slow_line(to: SocketAddr, cut: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (mut near_read, mut near_write) = near.into_split();
            let far = TcpStream::connect(to).await.unwrap();
            let (mut far_read, mut far_write) = far.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut near_read, &mut far_write).await });
            let cut = cut.clone();
            tokio::spawn(async move {
                let mut part = [0; 4096];
                loop {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if cut.load(Relaxed) {
                        continue;
                    }
                    match far_read.read(&mut part).await {
                        Ok(len) if len > 0 => near_write.write_all(&part[..len]).await.unwrap(),
                        _ => return,
                    }
                }
            });
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
    let cut = Arc::new(AtomicBool::new(false));
    let line = slow_line(server.addr, cut.clone()).await;
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
