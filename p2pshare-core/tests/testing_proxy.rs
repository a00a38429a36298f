//! The proxy does what it says, byte for byte.
#![allow(clippy::unwrap_used)]

use std::{collections::HashSet, io::ErrorKind, num::NonZeroU64, time::Duration};

use p2pshare_core::testing::proxy::{Direction, TcpProxy, WireFault, WireFaults};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Both ends of a connection through a proxy with these faults.
async fn through(faults: WireFaults) -> (TcpProxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = TcpProxy::start(listener.local_addr().unwrap()).await.unwrap();
    proxy.set_faults(move |_| faults);
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, client, server)
}

fn to_client(fault: WireFault) -> WireFaults {
    WireFaults::none().with(Direction::ToClient, fault)
}

async fn all(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut got = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut got)).await;
    read.expect("it ends").map(|_| got)
}

#[tokio::test]
async fn without_faults_everything_passes_both_ways_to_the_end() {
    let (proxy, mut client, mut server) = through(WireFaults::none()).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(all(&mut server).await.unwrap(), b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(all(&mut client).await.unwrap(), b"answer");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn one_bit_of_one_byte_is_changed_in_its_direction_alone() {
    let (_proxy, mut client, mut server) = through(to_client(WireFault::CorruptByte(70_000))).await;
    let data = vec![b'a'; 100_000];
    let (sent, back) = (data.clone(), data.clone());
    let serving = tokio::spawn(async move {
        let got = all(&mut server).await.unwrap();
        server.write_all(&back).await.unwrap();
        got
    });
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    let got = all(&mut client).await.unwrap();
    assert_eq!(serving.await.unwrap(), data);
    let wrong: Vec<_> = (0..data.len()).filter(|&at| got[at] != data[at]).collect();
    assert_eq!((got.len(), wrong), (data.len(), vec![70_000]));
    assert_eq!((got[70_000] ^ b'a').count_ones(), 1);
}

#[tokio::test]
async fn a_cut_is_an_end_for_one_and_unseen_by_the_other() {
    let (_proxy, mut client, mut server) = through(to_client(WireFault::Cut(10))).await;
    server.write_all(&[7; 20]).await.unwrap();
    assert_eq!(all(&mut client).await.unwrap(), [7; 10]);
    server.write_all(&[7; 20]).await.unwrap();
    client.write_all(b"still there").await.unwrap();
    drop(client);
    assert_eq!(all(&mut server).await.unwrap(), b"still there");
}

#[tokio::test]
async fn a_stall_is_silence() {
    let (proxy, mut client, mut server) = through(to_client(WireFault::Stall(10))).await;
    server.write_all(&[7; 20]).await.unwrap();
    let mut ten = [0; 10];
    client.read_exact(&mut ten).await.unwrap();
    let more = timeout(Duration::from_millis(100), client.read_u8()).await;
    assert!(more.is_err(), "{more:?}");
    client.write_all(b"question").await.unwrap();
    drop(client);
    assert_eq!(all(&mut server).await.unwrap(), b"question");
    timeout(PATIENCE, async {
        while proxy.open() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a connection whose client is gone ends");
}

#[tokio::test]
async fn a_reset_is_seen_at_both_ends() {
    let (_proxy, mut client, mut server) = through(to_client(WireFault::Reset(10))).await;
    server.write_all(&[7; 20]).await.unwrap();
    for end in [&mut client, &mut server] {
        assert_eq!(all(end).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_slow_wire_keeps_to_its_rate() {
    let rate = NonZeroU64::new(10_000).unwrap();
    let (_proxy, mut client, mut server) = through(to_client(WireFault::Slow(rate))).await;
    let started = Instant::now();
    server.write_all(&[7; 8_000]).await.unwrap();
    drop(server);
    assert_eq!(all(&mut client).await.unwrap().len(), 8_000);
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
}

#[tokio::test]
async fn all_is_reset_on_demand_and_without_a_server_nobody_answers() {
    let (proxy, mut client, _server) = through(WireFaults::none()).await;
    proxy.reset_all();
    assert_eq!(all(&mut client).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let nowhere = TcpProxy::without_server().await.unwrap();
    let mut client = TcpStream::connect(nowhere.addr()).await.unwrap();
    assert!(all(&mut client).await.unwrap_or_default().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_faults_of_every_kind() {
    let faults = |seed, number| WireFaults::seeded(seed, number, 1 << 20);
    let mut kinds = HashSet::new();
    for (seed, number) in (0..50).flat_map(|seed| (0..4).map(move |number| (seed, number))) {
        let these = faults(seed, number);
        assert_eq!(these, faults(seed, number));
        for fault in [these.to_server, these.to_client].into_iter().flatten() {
            kinds.insert(std::mem::discriminant(&fault));
            let at = match fault {
                WireFault::CorruptByte(at)
                | WireFault::Cut(at)
                | WireFault::Stall(at)
                | WireFault::Reset(at) => at,
                WireFault::Slow(_) => 0,
            };
            assert!(at < 1 << 20, "{fault:?}");
        }
    }
    assert_eq!(kinds.len(), 5);
    assert_ne!(faults(1, 0), faults(2, 0));
}
