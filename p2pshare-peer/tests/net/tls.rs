//! Who is at the other end.

use p2pshare_core::identity::{PeerConnection, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector};

use crate::support::{Setup, bytes, client_tls, source_of, within};

#[tokio::test]
async fn the_guard_learns_the_key_of_the_client() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let server = Setup::tls(&memory).start().await;
    let key = PeerKey::generate().unwrap();
    let remote = source_of(&server.client(client_tls(&key)), "anna");
    within(remote.manifest(&id)).await.unwrap();
    let seen = server.guard.seen.lock().unwrap().pop().unwrap();
    let expected = PeerConnection::Tls { key: Some(key.peer_id()) };
    assert_eq!(seen.connection, expected);
}

#[tokio::test]
async fn plain_text_proves_nothing() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let server = Setup::plain(&memory).start().await;
    within(source_of(&server.plain(), "anna").manifest(&id)).await.unwrap();
    let seen = server.guard.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.connection, PeerConnection::Plain);
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_and_sees_no_call() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let server = Setup::tls(&memory).start().await;
    let wanted = PeerKey::generate().unwrap().peer_id();
    let security = client_tls(&PeerKey::generate().unwrap());
    let connector = PeerConnector::new(security, ClientLimits::default());
    let remote = source_of(&connector.peer(wanted, vec![server.peer_addr()]), "anna");
    let error = within(remote.manifest(&id)).await.unwrap_err();
    assert!(
        matches!(&error, TransferError::Unavailable(text) if text.contains("is not this peer")),
        "{error:?}"
    );
    assert!(server.guard.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_where_another_peer_answers_does_not_hide_the_right_one() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let (right, wrong) = (Setup::tls(&memory).start().await, Setup::tls(&memory).start().await);
    let peer = right.tls();
    peer.set_addrs(vec![wrong.peer_addr(), right.peer_addr()]);
    within(source_of(&peer, "anna").manifest(&id)).await.unwrap();
    assert!(wrong.guard.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn plain_text_and_tls_do_not_mix() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    for setup in [Setup::plain(&memory), Setup::tls(&memory)] {
        let wrong = match setup.key {
            None => client_tls(&PeerKey::generate().unwrap()),
            Some(_) => ClientSecurity::Plain,
        };
        let server = setup.start().await;
        let remote = source_of(&server.client(wrong), "anna");
        let error = within(remote.manifest(&id)).await.unwrap_err();
        assert!(matches!(error, TransferError::Unavailable(_)), "{error:?}");
    }
}
