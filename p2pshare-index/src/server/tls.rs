//! The index's own certificate.

use std::{path::Path, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// A certificate chain and its private key.
#[derive(Debug)]
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A new self-signed certificate and its key, in PEM: to be kept where nobody else can read it.
pub struct SelfSigned {
    pem: zeroize::Zeroizing<String>,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM text cannot be read.
    #[error("{what} cannot be read: {source}")]
    Pem {
        /// Which text.
        what: String,
        /// Why.
        source: pem::Error,
    },
    /// A PEM text has no certificate.
    #[error("{what} has no certificate: it must be a PEM file with `BEGIN CERTIFICATE`")]
    NoCertificate {
        /// Which text.
        what: String,
    },
    /// Certificate and key do not go together or are of an unknown kind.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// No self-signed certificate can be made.
    #[error("a self-signed certificate cannot be made: {0}")]
    Generate(#[from] rcgen::Error),
}

impl TlsIdentity {
    /// Reads PEM files: the certificate, followed by those between it and the authority, and the private key.
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::NoCertificate`].
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| pem_error(&path.display(), pem::Error::Io(error)))
        };
        let certificate_pem = read(certificate)?;
        let key_pem = zeroize::Zeroizing::new(read(key)?);
        Self::from_pem(&certificate.display(), &certificate_pem, &key.display(), &key_pem)
    }

    /// Reads one PEM text that has both, as [`SelfSigned::pem`] gives it. `what` names it in errors.
    ///
    /// # Errors
    /// [`TlsError::Pem`] or [`TlsError::NoCertificate`].
    pub fn from_one_pem(what: &dyn std::fmt::Display, text: &[u8]) -> Result<Self, TlsError> {
        Self::from_pem(what, text, what, text)
    }

    fn from_pem(
        certificate: &dyn std::fmt::Display,
        certificate_pem: &[u8],
        key: &dyn std::fmt::Display,
        key_pem: &[u8],
    ) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| pem_error(certificate, error))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { what: certificate.to_string() });
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| pem_error(key, error))?;
        Ok(Self { chain, key })
    }

    /// SHA-256 of the certificate (DER) in hex: what clients pin.
    pub fn fingerprint(&self) -> String {
        // Not empty, by construction.
        let certificate = self.chain.first().map_or(&[][..], |der| der.as_ref());
        HEXLOWER.encode(digest(&SHA256, certificate).as_ref())
    }

    /// Settings to serve with: TLS 1.2 and 1.3, HTTP/2 preferred.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn into_config(self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl SelfSigned {
    /// Makes a key and a certificate for these names and addresses. Clients do not look at names when they pin the
    /// fingerprint.
    ///
    /// # Errors
    /// [`TlsError::Generate`].
    pub fn generate(names: impl IntoIterator<Item = String>) -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(names.into_iter().collect::<Vec<_>>())?;
        let mut text = zeroize::Zeroizing::new(made.signing_key.serialize_pem());
        text.push_str(&made.cert.pem());
        Ok(Self { pem: text })
    }

    /// Key and certificate in one text.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SelfSigned(redacted)")
    }
}

fn pem_error(what: &dyn std::fmt::Display, source: pem::Error) -> TlsError {
    TlsError::Pem { what: what.to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_survives_its_text() {
        let made = SelfSigned::generate(["localhost".to_owned()]).unwrap();
        let identity = TlsIdentity::from_one_pem(&"test", made.pem().as_bytes()).unwrap();
        assert_eq!(identity.fingerprint().len(), 64);
        let again = TlsIdentity::from_one_pem(&"test", made.pem().as_bytes()).unwrap();
        assert_eq!(identity.fingerprint(), again.fingerprint());
        assert!(identity.into_config().is_ok());
        assert!(!format!("{made:?}").contains("KEY"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let made = SelfSigned::generate(["localhost".to_owned()]).unwrap();
        let key_only = made.pem().split("-----BEGIN CERT").next().unwrap();
        let error = TlsIdentity::from_one_pem(&"a.pem", key_only.as_bytes()).unwrap_err();
        assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
        let missing = Path::new("/nonexistent/cert.pem");
        let error = TlsIdentity::from_pem_files(missing, missing).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/cert.pem"), "{error}");

        let other = SelfSigned::generate(["localhost".to_owned()]).unwrap();
        let own = made.pem().find("-----BEGIN CERT").unwrap();
        let mixed = format!(
            "{}{}",
            other.pem().split("-----BEGIN CERT").next().unwrap(),
            &made.pem()[own..]
        );
        let mixed = TlsIdentity::from_one_pem(&"mixed", mixed.as_bytes()).unwrap();
        assert!(matches!(mixed.into_config(), Err(TlsError::Unusable(_))));
    }
}
