//! Keys, signatures, announces and addresses of peers.
#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use p2pshare_core::identity::{
    AddrError, AnnounceError, AnnounceStatement, Host, IndexKeyId, KeyError, PeerAddr, PeerId,
    PeerKey, Username, verify_peer_signature,
};
use p2pshare_core::time::Timestamp;
use proptest::prelude::*;

#[test]
fn a_key_signs_and_is_verified() {
    let key = PeerKey::generate().unwrap();
    let signature = key.sign(b"message").unwrap();
    let verify = |message: &[u8], signature: &[u8]| {
        verify_peer_signature(key.public_key_der(), message, signature)
    };
    assert_eq!(verify(b"message", &signature), Ok(key.peer_id()));
    assert_eq!(verify(b"massage", &signature), Err(KeyError::Signature));
    assert_eq!(verify(b"message", &[]), Err(KeyError::Signature));
    assert_eq!(verify(b"message", &vec![0x30; 1 << 20]), Err(KeyError::Signature));
    for at in 0..signature.len() {
        let mut broken = signature.clone();
        broken[at] ^= 1;
        assert!(verify(b"message", &broken).is_err(), "byte {at}");
        assert!(verify(b"message", &signature[..at]).is_err(), "first {at} bytes");
    }
    let other = PeerKey::generate().unwrap();
    assert_eq!(
        verify_peer_signature(other.public_key_der(), b"message", &signature),
        Err(KeyError::Signature)
    );
}

#[test]
fn a_key_survives_its_file() {
    let key = PeerKey::generate().unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let again = PeerKey::from_pkcs8_der(&der).unwrap();
    assert_eq!(again.peer_id(), key.peer_id());
    assert_eq!(again.public_key_der(), key.public_key_der());
    assert_eq!(PeerId::from_public_key_der(key.public_key_der()), Ok(key.peer_id()));
    for len in 0..der.len() {
        assert_eq!(PeerKey::from_pkcs8_der(&der[..len]).unwrap_err(), KeyError::PrivateKey);
    }
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    assert_eq!(PeerKey::from_pkcs8_der(ed25519.as_ref()).unwrap_err(), KeyError::PrivateKey);
    assert!(!format!("{key:?}").contains(&data_encoding::HEXLOWER.encode(&der[36..68])));
    assert!(format!("{key:?}").contains("redacted"));
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let pair =
        |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(algorithm).unwrap();
    for other in [pair(&ECDSA_P384_SHA384_ASN1_SIGNING), pair(&ECDSA_P256K1_SHA256_ASN1_SIGNING)] {
        let spki: PublicKeyX509Der<'_> = other.public_key().as_der().unwrap();
        let signature = other.sign(&SystemRandom::new(), b"m").unwrap();
        let refused = verify_peer_signature(spki.as_ref(), b"m", signature.as_ref());
        assert_eq!(refused, Err(KeyError::PublicKey));
    }
    let ed = Ed25519KeyPair::generate().unwrap();
    let spki: PublicKeyX509Der<'_> = ed.public_key().as_der().unwrap();
    assert_eq!(PeerId::from_public_key_der(spki.as_ref()), Err(KeyError::PublicKey));

    let good = PeerKey::generate().unwrap();
    let spki = good.public_key_der();
    assert_eq!(PeerId::from_public_key_der(&[spki, &[0]].concat()), Err(KeyError::PublicKey));
    let mut off_the_curve = spki.to_vec();
    off_the_curve[90] ^= 1;
    assert_eq!(PeerId::from_public_key_der(&off_the_curve), Err(KeyError::PublicKey));
    // The same key with a compressed point would be a second identity of one peer.
    let compressed_head = data_encoding::HEXLOWER
        .decode(b"3039301306072a8648ce3d020106082a8648ce3d030107032200")
        .unwrap();
    let mut compressed = compressed_head;
    compressed.push(2 + (spki[90] & 1));
    compressed.extend_from_slice(&spki[27..59]);
    assert_eq!(PeerId::from_public_key_der(&compressed), Err(KeyError::PublicKey));
}

fn index(key: u8) -> IndexKeyId {
    IndexKeyId::of_public_key(&[key; 32])
}

fn statement(peer: PeerId) -> AnnounceStatement {
    AnnounceStatement {
        index_key_id: index(1),
        user: Username::parse("alice").unwrap(),
        peer,
        addresses: vec![
            "tcp://192.0.2.1:7401".parse().unwrap(),
            "tcp://[2001:db8::1]:7401".parse().unwrap(),
        ],
        issued_at: Timestamp::from_secs(1_700_000_000),
    }
}

#[test]
fn an_announce_is_accepted_from_its_peer_alone() {
    let (key, thief) = (PeerKey::generate().unwrap(), PeerKey::generate().unwrap());
    let announce = statement(key.peer_id());
    let signature = announce.sign(&key).unwrap();
    announce.verify(key.public_key_der(), &signature).unwrap();

    assert!(matches!(announce.sign(&thief), Err(AnnounceError::OtherPeer { .. })));
    let stolen = thief.sign(&announce.to_bytes()).unwrap();
    let refused = announce.verify(thief.public_key_der(), &stolen).unwrap_err();
    assert_eq!(
        refused,
        AnnounceError::OtherPeer { announced: key.peer_id(), key: thief.peer_id() }
    );

    for change in [
        |s: &mut AnnounceStatement| s.user = Username::parse("mallory").unwrap(),
        |s: &mut AnnounceStatement| s.index_key_id = index(2),
        |s: &mut AnnounceStatement| s.addresses.reverse(),
        |s: &mut AnnounceStatement| drop(s.addresses.pop()),
        |s: &mut AnnounceStatement| s.issued_at = Timestamp::from_secs(1),
    ] {
        let mut changed = announce.clone();
        change(&mut changed);
        assert!(changed.verify(key.public_key_der(), &signature).is_err());
    }
}

#[test]
fn the_signed_bytes_stay_as_they_are_documented() {
    let mut announce = statement(PeerId::from_bytes([9; 32]));
    announce.addresses.pop();
    let text = "tcp://192.0.2.1:7401";
    let mut bytes = b"p2pshare announce v1\0".to_vec();
    bytes.extend([&index(1).as_bytes()[..], &5u64.to_be_bytes(), b"alice", &[9; 32]].concat());
    bytes.extend([&1u64.to_be_bytes()[..], &20u64.to_be_bytes(), text.as_bytes()].concat());
    bytes.extend(1_700_000_000_000i64.to_be_bytes());
    assert_eq!(announce.to_bytes(), bytes);
}

fn statements() -> impl Strategy<Value = AnnounceStatement> {
    let address = prop_oneof![
        (any::<u32>(), 1u16..)
            .prop_map(|(ip, port)| format!("tcp://{}:{port}", std::net::Ipv4Addr::from(ip))),
        "tcp://[a-c]{1,2}:[1-9]",
    ];
    let addresses =
        proptest::collection::vec(address.prop_map(|a| a.parse::<PeerAddr>().unwrap()), 0..3);
    let small = (0u8..2, "[ab]{1,2}", 0u8..2, addresses, -1i64..2);
    small.prop_map(|(key, user, peer, addresses, time)| AnnounceStatement {
        index_key_id: index(key),
        user: user.parse().unwrap(),
        peer: PeerId::from_bytes([peer; 32]),
        addresses,
        issued_at: Timestamp::from_millis(time),
    })
}

proptest! {
    #[test]
    fn two_announces_never_sign_the_same_bytes(one in statements(), two in statements()) {
        prop_assert_eq!(one == two, one.to_bytes() == two.to_bytes());
    }

    #[test]
    fn garbage_is_no_key_and_no_signature(
        spki in proptest::collection::vec(any::<u8>(), 0..200),
        point in proptest::collection::vec(any::<u8>(), 64),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        prop_assert!(verify_peer_signature(&spki, b"m", &signature).is_err());
        let mut shaped = PeerKey::generate().unwrap().public_key_der().to_vec();
        shaped[27..].copy_from_slice(&point);
        prop_assert!(verify_peer_signature(&shaped, b"m", &signature).is_err());
        prop_assert!(PeerKey::from_pkcs8_der(&spki).is_err());
    }

    #[test]
    fn an_address_that_parses_round_trips(text in "(tcp://|[a-z]{0,4}:?/?/?)[\\[\\]a-fA-F0-9x.:-]{0,20}(:[0-9]{0,6})?") {
        if let Ok(address) = text.parse::<PeerAddr>() {
            let shown = address.to_string();
            prop_assert_eq!(shown.parse::<PeerAddr>().unwrap(), address);
        }
    }
}

#[test]
fn addresses_that_are_read() {
    for (text, shown) in [
        ("tcp://127.0.0.1:7401", "tcp://127.0.0.1:7401"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
        ("tcp://[2001:DB8:0::1]:65535", "tcp://[2001:db8::1]:65535"),
        ("tcp://Peer.Example.ORG:80", "tcp://peer.example.org:80"),
        ("tcp://localhost:080", "tcp://localhost:80"),
        ("tcp://1.2.3.4.example:80", "tcp://1.2.3.4.example:80"),
    ] {
        let address: PeerAddr = text.parse().unwrap();
        assert_eq!(address.to_string(), shown);
        let json = serde_json::to_string(&address).unwrap();
        assert_eq!(serde_json::from_str::<PeerAddr>(&json).unwrap(), address);
    }
    let socket = "[::1]:9".parse().unwrap();
    assert_eq!(PeerAddr::from_socket(socket).unwrap().to_string(), "tcp://[::1]:9");
    assert_eq!(PeerAddr::from_socket("1.1.1.1:0".parse().unwrap()), None);
    let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let PeerAddr::Tcp { host, .. } = format!("tcp://{longest}:65535").parse().unwrap() else {
        panic!("not TCP");
    };
    assert!(matches!(host, Host::Dns(name) if name.as_str() == longest));
}

#[test]
fn addresses_that_are_refused() {
    for (text, error) in [
        ("127.0.0.1:80", AddrError::NoScheme),
        ("quic://h:1", AddrError::UnknownScheme("quic".to_owned())),
        ("TCP://h:1", AddrError::UnknownScheme("TCP".to_owned())),
        ("tcp://h", AddrError::Port),
        ("tcp://h:", AddrError::Port),
        ("tcp://h:0", AddrError::Port),
        ("tcp://h:65536", AddrError::Port),
        ("tcp://h:+80", AddrError::Port),
        ("tcp://h:80/", AddrError::Port),
        ("tcp://:80", AddrError::Host),
        ("tcp://::1:80", AddrError::Host),
        ("tcp://[::1%eth0]:80", AddrError::Host),
        ("tcp://[1.2.3.4]:80", AddrError::Host),
        ("tcp://user@h:80", AddrError::Host),
        ("tcp://h/x:80", AddrError::Host),
        ("tcp://h.:80", AddrError::Host),
        ("tcp://a..b:80", AddrError::Host),
        ("tcp://-a:80", AddrError::Host),
        ("tcp://127.1:80", AddrError::Host),
        ("tcp://2130706433:80", AddrError::Host),
        ("tcp://0x7f.0x1:80", AddrError::Host),
        ("tcp://256.1.1.1:80", AddrError::Host),
        ("tcp://žluť.cz:80", AddrError::Host),
    ] {
        assert_eq!(text.parse::<PeerAddr>(), Err(error), "{text}");
    }
    let long = format!("tcp://{}:80", "a.".repeat(1000));
    assert!(matches!(long.parse::<PeerAddr>(), Err(AddrError::TooLong { .. })));
}
