//! Which group is meant by its name.

use std::time::Duration;

use p2pshare_core::{
    api::Visibility,
    identity::{GroupName, Reach},
};
use tokio::time::timeout;

use crate::index_client::IndexClient;

/// How long the index is waited for: without it files are shared too, and published later.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);

/// A group that is to see what is shared.
pub(crate) enum NamedGroup {
    /// The user is in it, and this tells it from any other that gets the name.
    Known(Reach),
    /// The user is in none of this name.
    Missing(GroupName),
    /// The index did not say, for this reason.
    Unknown(GroupName, String),
}

impl NamedGroup {
    /// Asks the index which group is meant, if one is; `index` is `None` while nobody is logged in.
    pub(crate) async fn find(
        visibility: Option<&Visibility>,
        index: Option<&IndexClient>,
    ) -> Option<Self> {
        let Some(Visibility::Group(group)) = visibility else {
            return None;
        };
        let name = group.clone();
        let Some(index) = index else {
            return Some(Self::Unknown(name, "nobody is logged in".to_owned()));
        };
        Some(match timeout(INDEX_PATIENCE, index.reach_of(group)).await {
            Ok(Ok(Some(reach))) => Self::Known(reach),
            Ok(Ok(None)) => Self::Missing(name),
            Ok(Err(error)) => Self::Unknown(name, error.to_string()),
            Err(_) => Self::Unknown(name, "the index does not answer".to_owned()),
        })
    }
}
