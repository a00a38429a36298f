//! The stores that the program knows, by URI.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use p2pshare_core::{
    backend::{
        memory::MemoryStore,
        mongodb::{MongoStore, MongoUri},
        sqlite::SqliteStore,
    },
    index::store::{IndexStore, StoreResult},
};

use serde::{Deserialize, Serialize};

use super::error::CliError;

/// A store as it is given: a URI that may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoreText(String);

impl StoreText {
    pub(super) fn parse(&self) -> Result<StoreUri, CliError> {
        self.0.parse()
    }
}

impl FromStr for StoreText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreText(…)")
    }
}

/// Where the index keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreUri {
    /// `memory:`
    Memory,
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `mongodb://…` or `mongodb+srv://…`
    Mongo(MongoUri),
}

impl StoreUri {
    /// The store that is used unless another is named.
    pub(super) fn default_in(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("index.db"))
    }

    /// Opens the store, and makes it if it is not there.
    pub(super) async fn open(&self) -> Result<Arc<dyn IndexStore>, CliError> {
        let store: StoreResult<Arc<dyn IndexStore>> = match self {
            Self::Memory => Ok(Arc::new(MemoryStore::new())),
            Self::Sqlite(path) => SqliteStore::open(path).map(|store| Arc::new(store) as _),
            Self::Mongo(uri) => MongoStore::open(uri).await.map(|store| Arc::new(store) as _),
        };
        store.map_err(|source| CliError::Store { store: self.to_string(), source })
    }

    /// Opens a store that is there already: a path that is mistyped makes no empty one.
    pub(super) async fn open_existing(&self) -> Result<Arc<dyn IndexStore>, CliError> {
        match self {
            Self::Sqlite(path) if matches!(path.try_exists(), Ok(false)) => {
                Err(CliError::Failed(format!(
                    "there is no store at {}: is this its path? `p2pshare-index serve` makes one at its first start",
                    path.display()
                )))
            }
            _ => self.open().await,
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            // Without its password.
            Self::Mongo(uri) => uri.fmt(f),
        }
    }
}

impl FromStr for StoreUri {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let wrong = |reason: &str| {
            // What is wrong may hold a password all the same.
            let shown =
                if text.contains('@') { "that is given".to_owned() } else { format!("{text:?}") };
            CliError::Usage(format!(
                "the store {shown} {reason}: it can be `sqlite:PATH`, `mongodb://…` or `memory:`"
            ))
        };
        match text.split_once(':') {
            Some(("mongodb" | "mongodb+srv", _)) => {
                let uri = text.parse::<MongoUri>();
                uri.map(Self::Mongo)
                    .map_err(|error| CliError::Usage(format!("the store's URI: {error}")))
            }
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
            assert!(error.contains("`mongodb://…` or `memory:`"), "{error}");
        }
        for text in ["mongodb://ann:s3cret@h/db?tls=true", "mongodb+srv://ann:s3cret@h"] {
            let uri: StoreUri = text.parse().unwrap();
            assert!(!format!("{uri} {uri:?}").contains("s3cret"));
        }
        for text in ["mongo://ann:s3cret@h", "mongodb:ann:s3cret@h", "ann:s3cret@h"] {
            let error = text.parse::<StoreUri>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
