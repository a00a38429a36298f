//! The control file: where the running node is and how its owner's other processes talk to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::data_dir::{DataDir, DataDirError};

const CONTROL_FILE: &str = "control.json";

/// A token that lets somebody in. Prints redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How to talk to the running node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Where it is: `http://`, a loopback address, and a port.
    pub url: String,
    /// What to show it.
    pub token: Token,
}

impl Control {
    /// Reads the control file of a data directory from which a process serves; `None` if none does, or none that can be
    /// talked to.
    pub fn find(dir: &DataDir) -> Result<Option<Self>, DataDirError> {
        let Some(bytes) = dir.read_secret(CONTROL_FILE)? else { return Ok(None) };
        // One that was killed has left it: somebody else may be at its port by now.
        if !dir.is_served()? {
            return Ok(None);
        }
        // Of a later version, perhaps.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Removes what a process that was killed has left. Whoever serves calls it before others can take it for theirs.
    pub(super) fn clear(dir: &DataDir) -> Result<(), DataDirError> {
        dir.remove(CONTROL_FILE)
    }

    /// Writes the file, readable by its owner only, for as long as the result lives.
    pub(super) fn keep(&self, dir: &DataDir) -> Result<Kept, DataDirError> {
        let bytes = Zeroizing::new(serde_json::to_vec(self).unwrap_or_default());
        dir.write_secret(CONTROL_FILE, &bytes)?;
        Ok(Kept { dir: dir.clone() })
    }
}

/// Keeps the control file until it is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    dir: DataDir,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = Control::clear(&self.dir) {
            tracing::warn!(%error, "the control file stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_private_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let control =
            Control { url: "http://127.0.0.1:1".to_owned(), token: Token::new("secret".into()) };
        assert!(!format!("{control:?}").contains("secret"));
        let lock = dir.lock_for_serving().unwrap();
        let kept = control.keep(&dir).unwrap();
        assert_eq!(Control::find(&dir).unwrap(), Some(control));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(CONTROL_FILE)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        drop(lock);
        assert_eq!(Control::find(&dir).unwrap(), None, "nobody serves");
        drop(kept);
        assert!(!dir.path().join(CONTROL_FILE).exists());
    }
}
