//! Reading the entries of a content, but not each of very many that one peer has of it.
//!
//! An index of (content, size, peer, owner, scope) is read in order. Of one place in it a peer can have as many entries as
//! it has paths, and one is often enough, or none: the others are passed over by seeking.

use rusqlite::{Connection, Row};

use crate::{
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
};

/// That a peer has a content in some scope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) size: u64,
    pub(super) peer: i64,
    pub(super) owner: i64,
    pub(super) scope: i64,
}

/// What is wanted after an entry.
pub(super) enum Wanted {
    /// The next entry.
    Next,
    /// What follows the entries of this claim; some more of them may come.
    NextClaim,
    /// Nothing more.
    Nothing,
}

/// So many entries in a row of a claim are read to no purpose before it is sought what follows them: most have one.
const BEFORE_SEEKING: u32 = 16;

/// The beginning of a statement that reads claims, and more columns.
macro_rules! select_claims {
    ($($more:expr)?) => {
        concat!(
            "SELECT e.size, e.peer, e.owner, e.scope", $($more,)?
            " FROM entries e INDEXED BY entries_content \
               WHERE e.content = ?1 AND (e.size, e.peer, e.owner, e.scope) >= (?2, ?3, ?4, ?5) \
               ORDER BY e.size, e.peer, e.owner, e.scope"
        )
    };
}
pub(super) use select_claims;

impl Claim {
    fn read(row: &Row<'_>) -> DatabaseResult<Self> {
        let (peer, owner, scope) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Self { size: rows::size(row, 0)?, peer, owner, scope })
    }
}

/// Reads the claims to a content, of one size or all, in order of size, then peer; each once at least.
pub(super) fn each_claim(
    connection: &Connection,
    content: &ContentId,
    size: Option<u64>,
    mut each: impl FnMut(&Claim) -> DatabaseResult<()>,
) -> DatabaseResult<()> {
    each_row(connection, select_claims!(), content, size, |claim, _| {
        each(claim)?;
        Ok(Wanted::NextClaim)
    })
}

/// Reads entries of a content, of one size or all, in order of size, then peer, by a statement of [`select_claims`].
pub(super) fn each_row(
    connection: &Connection,
    sql: &str,
    content: &ContentId,
    size: Option<u64>,
    mut each: impl FnMut(&Claim, &Row<'_>) -> DatabaseResult<Wanted>,
) -> DatabaseResult<()> {
    // The least claim to the size.
    let first = Claim { size: size.unwrap_or(0), peer: i64::MIN, owner: i64::MIN, scope: i64::MIN };
    let mut statement = connection.prepare_cached(sql)?;
    let mut next = Some(first);
    while let Some(claim) = next.take() {
        let from = rows::column_size(claim.size)?;
        let from = (content.as_bytes(), from, claim.peer, claim.owner, claim.scope);
        let mut rows = statement.query(from)?;
        let mut last = None;
        let mut in_vain = 0;
        while let Some(row) = rows.next()? {
            let claim = Claim::read(row)?;
            if size.is_some_and(|size| size != claim.size) {
                break;
            }
            let is_new = last.replace(claim) != Some(claim);
            match each(&claim, row)? {
                Wanted::NextClaim if !is_new => in_vain += 1,
                Wanted::NextClaim | Wanted::Next => in_vain = 0,
                Wanted::Nothing => break,
            }
            if in_vain >= BEFORE_SEEKING {
                // Asking for what is after the claim itself would read all of its entries, and compare each.
                next = claim.scope.checked_add(1).map(|scope| Claim { scope, ..claim });
                break;
            }
        }
    }
    Ok(())
}
