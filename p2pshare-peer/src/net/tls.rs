//! TLS between peers: TLS 1.3, each end known by its key.
//!
//! A certificate says nothing here but whose key it is: it is self-signed, its names and dates are not looked at. The
//! handshake proves that the other end holds the private key, and the hash of the public key is the [`PeerId`].

use std::fmt;
use std::sync::Arc;

use p2pshare_core::identity::{CertificateRule, KeyError, PeerId, PeerKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

const ALPN_HTTP2: &[u8] = b"h2";

/// A peer's own certificate and the TLS settings made from it. A clone is cheap.
#[derive(Clone)]
pub struct PeerTls {
    id: PeerId,
    provider: Arc<CryptoProvider>,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    server: Arc<ServerConfig>,
}

/// TLS could not be set up with a peer's key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate cannot be made.
    #[error("a certificate cannot be made from the peer's key: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl PeerTls {
    /// Makes a self-signed certificate from the peer's key and the settings of a server with it.
    ///
    /// # Errors
    /// [`TlsError`], which says that the cryptographic library does not work as it should.
    pub fn new(key: &PeerKey) -> Result<Self, TlsError> {
        let id = key.peer_id();
        let pkcs8 = key.to_pkcs8_der()?;
        let private = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
        let certificate = self_signed(id, &private)?;
        let private = Arc::new(PrivateKeyDer::from(private));
        let provider = Arc::new(provider());
        let server = server_config(&provider, &certificate, &private)?;
        Ok(Self { id, provider, certificate, key: private, server: Arc::new(server) })
    }

    /// Whose certificate it is.
    pub fn peer_id(&self) -> PeerId {
        self.id
    }

    /// The certificate, DER encoded: what a client that knows nothing of peer ids can pin.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The settings of a server: it asks for a client's certificate, takes any peer's, and does without.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The settings of a client that connects to the one peer with this id and to no other.
    ///
    /// Nothing is kept from one connection to the next: each proves the key anew.
    ///
    /// # Errors
    /// [`TlsError::Tls`].
    pub fn for_peer(&self, expected: PeerId) -> Result<ClientConfig, TlsError> {
        let verifier = CertificateRule::of_peers(&self.provider, move |peer| peer == expected);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        config.resumption = Resumption::disabled();
        // The id is checked by the key; there is no need to show it to the network in clear text.
        config.enable_sni = false;
        Ok(config)
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerTls({}, private key redacted)", self.id)
    }
}

/// The name of a peer in its certificate and in the URIs of calls to it. It never resolves (RFC 6761).
pub(crate) fn host_name(id: PeerId) -> String {
    format!("{id}.peer.p2pshare.invalid")
}

/// [`host_name`] as TLS wants it.
pub(crate) fn server_name(id: PeerId) -> ServerName<'static> {
    ServerName::try_from(host_name(id)).expect("52 characters of a-z and 2-7 are a label")
}

fn self_signed(
    id: PeerId,
    key: &PrivatePkcs8KeyDer<'_>,
) -> Result<CertificateDer<'static>, rcgen::Error> {
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256)?;
    // Dates (1975 to 4096) and serial number are the library's, which takes the latter from the key.
    let mut params = CertificateParams::new(vec![host_name(id)])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id.to_string());
    Ok(params.self_signed(&pair)?.der().clone())
}

/// AES-128 first: with the CPU's own AES it is the fastest, and bulk is what is sent here.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    // Any peer, or nobody.
    let verifier = CertificateRule::of_peers(provider, |_| true);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate.clone()], key.clone_key())?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // Prefer this end's order of ciphers only where a client has no preference of its own: a client without AES in
    // hardware asks for ChaCha20 first.
    config.ignore_client_order = false;
    Ok(config)
}
