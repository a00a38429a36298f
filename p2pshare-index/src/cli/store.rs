//! The stores that the program knows, by URI.

use std::fmt;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use p2pshare_core::{
    backend::{memory::MemoryStore, sqlite::SqliteStore},
    index::store::IndexStore,
};

use super::error::CliError;

/// Where the index keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreUri {
    /// `memory:`
    Memory,
    /// `sqlite:PATH`
    Sqlite(PathBuf),
}

impl StoreUri {
    /// The store that is used unless another is named.
    pub(super) fn default_in(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("index.db"))
    }

    /// Opens the store, and makes it if it is not there.
    pub(super) fn open(&self) -> Result<Arc<dyn IndexStore>, CliError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryStore::new())),
            Self::Sqlite(path) => match SqliteStore::open(path) {
                Ok(store) => Ok(Arc::new(store)),
                Err(source) => Err(CliError::Store { store: self.to_string(), source }),
            },
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl FromStr for StoreUri {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let wrong = |reason: &str| {
            CliError::Usage(format!(
                "the store {text:?} {reason}: it can be `sqlite:PATH` or `memory:`"
            ))
        };
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("memory", _)) => Err(wrong("has something after `memory:`")),
            Some(("sqlite", "")) => Err(wrong("has no path")),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            Some(_) => Err(wrong("is of a kind that this program does not know")),
            None => Err(wrong("does not begin with a kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_survives_its_text_and_unknown_kinds_are_told() {
        for text in ["memory:", "sqlite:/var/lib/index.db", "sqlite:relative dir/x.db"] {
            assert_eq!(text.parse::<StoreUri>().unwrap().to_string(), text);
        }
        for text in ["", "memory", "memory:x", "sqlite:", "/var/lib/index.db", "redis://h/1"] {
            let error = text.parse::<StoreUri>().unwrap_err().to_string();
            assert!(error.contains("`sqlite:PATH` or `memory:`"), "{error}");
        }
    }
}
