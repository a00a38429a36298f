//! Whose a TLS certificate is, and verifiers that ask a rule instead of authorities.

use std::fmt;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::PeerId;

type Rule = dyn Fn(&CertificateDer<'_>) -> Result<(), Error> + Send + Sync;

/// Whose key a certificate has.
///
/// # Errors
/// When it is no certificate, or its key is not that of a peer.
pub fn certificate_peer(certificate: &CertificateDer<'_>) -> Result<PeerId, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    PeerId::from_public_key_der(&parsed.subject_public_key_info()).map_err(|_| not_taken())
}

/// Takes the certificates that a rule takes, whatever their names, dates and issuers say. That the other end has the
/// certificate's key is checked as in any TLS connection.
///
/// As a verifier of clients it lets in who shows no certificate, too.
pub struct CertificateRule {
    rule: Box<Rule>,
    algorithms: WebPkiSupportedAlgorithms,
    only_peers: bool,
}

impl CertificateRule {
    /// For certificates of any kind, over any version of TLS.
    pub fn new(
        provider: &CryptoProvider,
        takes: impl Fn(&CertificateDer<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            rule: Box::new(move |certificate| match takes(certificate) {
                true => Ok(()),
                false => Err(not_taken()),
            }),
            algorithms: provider.signature_verification_algorithms,
            only_peers: false,
        }
    }

    /// For certificates with the key of a peer, over TLS 1.3 alone.
    pub fn of_peers(
        provider: &CryptoProvider,
        takes: impl Fn(PeerId) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            rule: Box::new(move |certificate| match takes(certificate_peer(certificate)?) {
                true => Ok(()),
                false => Err(not_taken()),
            }),
            algorithms: provider.signature_verification_algorithms,
            only_peers: true,
        }
    }

    fn check_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.only_peers {
            // Never asked where only TLS 1.3 is offered; refused all the same.
            return Err(PeerIncompatible::SupportedVersionsExtensionRequired.into());
        }
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn check_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        match self.only_peers {
            // Their keys are P-256.
            true => vec![SignatureScheme::ECDSA_NISTP256_SHA256],
            false => self.algorithms.supported_schemes(),
        }
    }
}

impl ServerCertVerifier for CertificateRule {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.rule)(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for CertificateRule {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        (self.rule)(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl fmt::Debug for CertificateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateRule")
            .field("only_peers", &self.only_peers)
            .finish_non_exhaustive()
    }
}

fn not_taken() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}
