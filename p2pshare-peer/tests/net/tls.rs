//! Who is at the other end.

use std::sync::Arc;

use bytes::Bytes;
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::{PeerConnection, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector};
use p2pshare_proto::v1::ManifestRequest;
use p2pshare_proto::v1::transfer_client::TransferClient;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tonic::Request;
use tonic::transport::Channel;

use crate::stranger::{NoCertificate, config_of, stranger};
use crate::support::{Guard, Setup, bytes, client_tls, source_of, within};

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

async fn call(channel: Channel, content: ContentId) -> Result<(), tonic::Status> {
    let content_id = Bytes::copy_from_slice(content.as_bytes());
    let mut request = Request::new(ManifestRequest { content_id });
    let grant = format!("Bearer {}anna", Guard::GRANT);
    request.metadata_mut().insert("authorization", grant.parse().unwrap());
    let mut client = TransferClient::new(channel);
    within(client.manifest(request)).await.map(drop)
}

#[tokio::test]
async fn a_client_without_a_certificate_comes_without_a_key() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let server = Setup::tls(&memory).start().await;
    let channel = stranger(&server, config_of(&server, Arc::new(NoCertificate))).await.unwrap();
    call(channel, id).await.unwrap();
    let seen = server.guard.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.connection, PeerConnection::Tls { key: None });
}

/// A certificate of one key, used with another.
fn certified(certificate: &rcgen::KeyPair, key: &rcgen::KeyPair) -> Arc<dyn ResolvesClientCert> {
    let params = rcgen::CertificateParams::new(vec!["peer".to_owned()]).unwrap();
    let certificate = params.self_signed(certificate).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    Arc::new(SingleCertAndKey::from(certified))
}

#[tokio::test]
async fn a_certificate_is_of_use_only_with_its_own_key_of_the_right_kind() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let server = Setup::tls(&memory).start().await;
    let p256 = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let own = p256();
    let good = stranger(&server, config_of(&server, certified(&own, &own))).await.unwrap();
    call(good, id).await.unwrap();
    let calls = server.guard.seen.lock().unwrap().len();
    // Another's certificate, which anyone has seen, with a key of one's own.
    if let Ok(channel) = stranger(&server, config_of(&server, certified(&own, &p256()))).await {
        call(channel, id).await.unwrap_err();
    }
    assert_eq!(server.guard.seen.lock().unwrap().len(), calls);
    // A key that no peer has: the client keeps it to itself or is refused, but is nobody in any case.
    if let Ok(channel) = stranger(&server, config_of(&server, certified(&p384, &p384))).await {
        let called = call(channel, id).await;
        let seen = server.guard.seen.lock().unwrap();
        let nobody = PeerConnection::Tls { key: None };
        assert!(called.is_err() || seen.last().unwrap().connection == nobody);
    }
}

#[tokio::test]
async fn nothing_but_tls_1_3_is_spoken() {
    let server = Setup::tls(&MemorySource::new()).start().await;
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS12])
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(stranger(&server, config).await.is_err());
}
