//! The file that holds the signing keys.

use std::path::Path;

use data_encoding::BASE64;
use p2pshare_core::{
    auth::{GrantSigner, KeySuccession, SigningKey, SigningKeys},
    private_file,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeysError;

/// What the file holds, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    keys: Vec<KeyEntry>,
    successions: Vec<KeySuccession>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    signs_from: Timestamp,
    /// PKCS #8 in DER, base64.
    private_key: Zeroizing<String>,
}

/// Reads the keys, or makes the first one and keeps it there, readable by its owner only. Of several processes that do
/// this at once, all have the same. Blocks.
///
/// The folder must be there.
///
/// # Errors
/// [`KeysError`]. A file that cannot be used is left as it is: it may be what peers know the index by.
pub fn load_or_make(path: &Path) -> Result<SigningKeys, KeysError> {
    if let Some(keys) = load(path)? {
        return Ok(keys);
    }
    let first = SigningKeys::new(GrantSigner::generate()?);
    let kept = private_file::create_or_read(path, &to_bytes(&first)?)?;
    tracing::info!(path = %path.display(), "made the key that signs grants");
    parse(path, &kept)
}

/// Reads the keys, `None` if there is no file.
pub(crate) fn load(path: &Path) -> Result<Option<SigningKeys>, KeysError> {
    private_file::read(path)?.map(|bytes| parse(path, &bytes)).transpose()
}

/// Writes the keys in place of those before, whole or not at all.
pub(crate) fn save(path: &Path, keys: &SigningKeys) -> Result<(), KeysError> {
    Ok(private_file::replace(path, &to_bytes(keys)?)?)
}

/// Reads the bytes of the file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<SigningKeys, KeysError> {
    let fail = |what: String| KeysError::file(path, what);
    let file: KeyFile =
        serde_json::from_slice(bytes).map_err(|error| fail(format!("it is damaged: {error}")))?;
    let keys = file.keys.into_iter().map(|entry| {
        let der = BASE64
            .decode(entry.private_key.as_bytes())
            .map_err(|error| fail(format!("a private key is damaged: {error}")))?;
        let signer = GrantSigner::from_pkcs8_der(&Zeroizing::new(der))
            .map_err(|error| fail(error.to_string()))?;
        Ok(SigningKey { signs_from: entry.signs_from, signer })
    });
    SigningKeys::from_parts(keys.collect::<Result<_, KeysError>>()?, file.successions)
        .map_err(|error| fail(error.to_string()))
}

fn to_bytes(keys: &SigningKeys) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let entry = |key: &SigningKey| KeyEntry {
        signs_from: key.signs_from,
        private_key: Zeroizing::new(BASE64.encode(&key.signer.to_pkcs8_der())),
    };
    let file = KeyFile {
        keys: keys.keys().iter().map(entry).collect(),
        successions: keys.successions().to_vec(),
    };
    serde_json::to_vec_pretty(&file).map(Zeroizing::new).map_err(KeysError::Text)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn keys_are_made_once_and_survive_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        assert!(load(&path).unwrap().is_none());
        let now = Timestamp::from_secs(1_000_000);
        let mut keys = load_or_make(&path).unwrap();
        let first = keys.published(now, DAY);
        assert_eq!(first, load_or_make(&path).unwrap().published(now, DAY));

        keys.add(GrantSigner::generate().unwrap(), Timestamp::from_secs(2_000_000), now, DAY)
            .unwrap();
        save(&path, &keys).unwrap();
        let again = load(&path).unwrap().unwrap();
        assert_eq!(again.published(now, DAY), keys.published(now, DAY));
        assert_eq!(again.keys()[1].signs_from, Timestamp::from_secs(2_000_000));
        assert_eq!(again.successions(), keys.successions());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_keys_are_told_and_never_replaced() {
        for damaged in ["nonsense", "{}", r#"{"keys":[],"successions":[]}"#] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("keys.json");
            private_file::replace(&path, damaged.as_bytes()).unwrap();
            let error = load_or_make(&path).unwrap_err().to_string();
            assert!(error.contains("keys.json"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
