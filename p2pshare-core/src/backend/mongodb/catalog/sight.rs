//! What a viewer sees and reaches.

use std::collections::HashSet;

use mongodb::bson::{Document, doc};

use crate::{api::Visibility, identity::GroupName, index::model::Viewer};

/// What a viewer sees, told from how it stands in an entry.
pub(super) struct Sight {
    user: String,
    /// Visibilities that make an entry of anybody visible.
    scopes: HashSet<String>,
    groups: HashSet<GroupName>,
}

impl Sight {
    pub(super) fn of(viewer: &Viewer) -> Self {
        let groups = viewer.groups.iter().cloned().map(Visibility::Group);
        let scopes = groups.chain([Visibility::Public]).map(|scope| scope.to_string()).collect();
        let groups = viewer.groups.iter().cloned().collect();
        Self { user: viewer.user.to_string(), scopes, groups }
    }

    pub(super) fn sees(&self, owner: &str, scope: &str) -> bool {
        owner == self.user || self.scopes.contains(scope)
    }

    /// That an entry is seen, for the server.
    pub(super) fn seen(&self) -> Document {
        self.filter(self.scopes())
    }

    /// That an entry is reached, for the server.
    pub(super) fn reached(&self) -> Document {
        let unlisted = Visibility::Unlisted.to_string();
        self.filter(self.scopes().into_iter().chain([unlisted]).collect())
    }

    /// Visibilities that make an entry of anybody visible.
    pub(super) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<_> = self.scopes.iter().cloned().collect();
        scopes.sort_unstable();
        scopes
    }

    /// Whether the viewer is in all of these groups.
    pub(super) fn is_in_all(&self, groups: &[GroupName]) -> bool {
        groups.iter().all(|group| self.groups.contains(group))
    }

    fn filter(&self, scopes: Vec<String>) -> Document {
        doc! { "$or": [{ "v": { "$in": scopes } }, { "o": &self.user }] }
    }
}
