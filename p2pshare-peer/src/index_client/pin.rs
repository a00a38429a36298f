//! Accepting the one certificate whose fingerprint stands in the index's URL.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use p2pshare_core::identity::CertificateRule;
use rustls::{ClientConfig, crypto::aws_lc_rs as provider};

/// TLS settings that accept only the certificate with this SHA-256 fingerprint, whatever its names and dates say.
pub(super) fn client_config(pin: [u8; 32]) -> ClientConfig {
    let provider = Arc::new(provider::default_provider());
    let verifier = CertificateRule::new(&provider, move |certificate| {
        digest(&SHA256, certificate).as_ref() == pin
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of its own default versions");
    builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
}
