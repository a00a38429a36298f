//! Who is looking, in row ids.

use rusqlite::Connection;

use crate::{
    backend::sqlite::{database::DatabaseResult, rows},
    index::model::Viewer,
};

/// The scope of a public entry. The scope of an entry of a group is the group's row id, which is above 0.
pub(super) const PUBLIC: i64 = 0;
/// The scope of an unlisted entry.
pub(super) const UNLISTED: i64 = -1;

/// A [`Viewer`] in row ids.
pub(super) struct Sight {
    /// `None` if there is no such account.
    user: Option<i64>,
    groups: Vec<i64>,
}

impl Sight {
    pub(super) fn of(connection: &Connection, viewer: &Viewer) -> DatabaseResult<Self> {
        let mut groups = Vec::with_capacity(viewer.groups.len());
        for name in &viewer.groups {
            groups.extend(rows::group_id(connection, name)?);
        }
        groups.sort_unstable();
        groups.dedup();
        let user = rows::user_id(connection, &viewer.user)?;
        Ok(Self { user, groups })
    }

    /// As [`Viewer::sees`].
    pub(super) fn sees(&self, owner: i64, scope: i64) -> bool {
        scope == PUBLIC || self.user == Some(owner) || self.is_in(scope)
    }

    /// Whether the viewer is in a group.
    pub(super) fn is_in(&self, group: i64) -> bool {
        self.groups.binary_search(&group).is_ok()
    }

    /// As [`Viewer::reaches`].
    pub(super) fn reaches(&self, owner: i64, scope: i64) -> bool {
        scope == UNLISTED || self.sees(owner, scope)
    }

    /// All scopes of a user's entries that are seen.
    pub(super) fn scopes_of(
        &self,
        connection: &Connection,
        owner: i64,
    ) -> DatabaseResult<Vec<i64>> {
        if self.user != Some(owner) {
            return Ok([&[PUBLIC], self.groups.as_slice()].concat());
        }
        let sql = "SELECT \"group\" FROM members WHERE user = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let groups = rows::collect(statement.query([owner])?, |row| Ok(row.get(0)?))?;
        Ok([&[PUBLIC, UNLISTED], groups.as_slice()].concat())
    }
}
