//! The key that signs grants, in the data directory.

use std::{fs, io, path::Path};

use data_encoding::BASE64;
use p2pshare_core::{
    auth::{GrantSigner, IndexPublicKey},
    index::SigningKeys,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{error::CliError, private_file};

/// The signing key: PKCS #8 in PEM.
const CURRENT: &str = "index.key";

/// Public keys of old signing keys, one a line; `#` begins a comment.
const RETIRED: &str = "retired.keys";

/// Most retired keys that are read.
const MAX_RETIRED: usize = 16;

/// Reads the signing key, or makes it at the first start, and the public keys of those before it.
pub(super) fn load(data_dir: &Path) -> Result<SigningKeys, CliError> {
    let path = data_dir.join(CURRENT);
    let pem = match private_file::read(&path)? {
        Some(pem) => pem,
        None => {
            let made =
                GrantSigner::generate().map_err(|error| CliError::Failed(error.to_string()))?;
            let pem = private_file::create_or_read(&path, to_pem(&made.to_pkcs8_der()).as_bytes())?;
            tracing::info!(path = %path.display(), "made the key that signs grants");
            pem
        }
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| {
        CliError::file(&path, format_args!("it is not a PEM private key: {error}"))
    })?;
    let signer = GrantSigner::from_pkcs8_der(der.secret_pkcs8_der())
        .map_err(|error| CliError::file(&path, error))?;
    Ok(SigningKeys::new(signer, retired(&data_dir.join(RETIRED))?))
}

fn to_pem(der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    let mut pem = Zeroizing::new(String::with_capacity(2 * base64.len() + 64));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII: every place is between two characters.
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

fn retired(path: &Path) -> Result<Vec<IndexPublicKey>, CliError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CliError::file(path, format_args!("it cannot be read: {error}"))),
    };
    let keys = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map_err(|error| CliError::file(path, error)))
        .collect::<Result<Vec<_>, _>>()?;
    if keys.len() > MAX_RETIRED {
        return Err(CliError::file(
            path,
            format_args!(
                "it has more than {MAX_RETIRED} keys: remove those whose grants have long ended"
            ),
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_old_ones_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path()).unwrap().public_keys();
        assert_eq!(first, load(dir.path()).unwrap().public_keys());
        assert_eq!(first.len(), 1);

        let old = GrantSigner::generate().unwrap().public_key();
        fs::write(dir.path().join(RETIRED), format!("# until May\n{old}  # old\n\n")).unwrap();
        assert_eq!(load(dir.path()).unwrap().public_keys(), [first[0], old]);

        fs::write(dir.path().join(RETIRED), "nonsense\n").unwrap();
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(RETIRED), "{error}");
    }

    #[test]
    fn a_damaged_key_is_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        private_file::create_or_read(&dir.path().join(CURRENT), b"nonsense").unwrap();
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(CURRENT), "{error}");
        assert_eq!(fs::read(dir.path().join(CURRENT)).unwrap(), b"nonsense");
    }
}
