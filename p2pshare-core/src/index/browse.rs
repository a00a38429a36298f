//! Browsing what a user shares.

use data_encoding::BASE64URL_NOPAD;
use serde::{Serialize, de::DeserializeOwned};

use super::{Caller, Index, IndexError, Thing, catalog::page, search::CursorError};
use crate::{
    api::{BrowsePage, BrowseQuery, FileListing},
    identity::Username,
};

/// Longest cursor, in characters: a path of the largest size and what JSON adds to it.
const MAX_CURSOR_CHARS: usize = 32 * 1024;

impl Index {
    /// A page of what the caller sees of a user's shares: one folder, or with `recursive` all files below it.
    pub async fn browse(
        &self,
        caller: &Caller,
        owner: &Username,
        query: &BrowseQuery,
    ) -> Result<BrowsePage, IndexError> {
        let limit = page(query.limit, 1000, 1000)?;
        if self.store().user(owner).await?.is_none() {
            return Err(IndexError::NotFound(Thing::User(owner.clone())));
        }
        let viewer = self.viewer(caller).await?;
        let folder = query.path.as_ref();
        let after = query.cursor.as_deref().map(decode).transpose()?;
        let mut items: Vec<FileListing> = if query.recursive {
            let after = match &after {
                None => None,
                Some(FileListing::File(file)) => Some(file),
                Some(FileListing::Folder(_)) => return Err(CursorError.into()),
            };
            let files = self.store().user_files(&viewer, owner, folder, after, limit + 1).await?;
            files.into_iter().map(FileListing::File).collect()
        } else {
            self.store().user_folder(&viewer, owner, folder, after.as_ref(), limit + 1).await?
        };
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(encode);
        Ok(BrowsePage { items, next })
    }
}

/// A cursor is the last item of the page before, as JSON in base64url.
fn encode<T: Serialize>(last: &T) -> String {
    // The types have no map with keys other than strings and no failing serializer.
    let json = serde_json::to_vec(last).unwrap_or_default();
    BASE64URL_NOPAD.encode(&json)
}

fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, CursorError> {
    if cursor.len() > MAX_CURSOR_CHARS {
        return Err(CursorError);
    }
    let json = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| CursorError)?;
    serde_json::from_slice(&json).map_err(|_| CursorError)
}
