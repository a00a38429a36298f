//! The opaque cursor between two pages of hits.

use data_encoding::BASE64URL_NOPAD;

use super::{Position, Search};
use crate::content::ContentId;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 + 8 + 32 + 8;

/// A cursor: a position in the hits of one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    position: Position,
    search: [u8; 8],
}

/// A cursor that is none of this search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor does not belong to this search: start again without one")]
pub struct CursorError;

impl Cursor {
    /// The cursor to what follows `position` in the hits of `search`.
    pub fn new(position: Position, search: &Search) -> Self {
        Self { position, search: fingerprint(search) }
    }

    /// The position, if the cursor was made for the same words, filters and order.
    pub fn position_in(&self, search: &Search) -> Result<Position, CursorError> {
        if self.search == fingerprint(search) { Ok(self.position) } else { Err(CursorError) }
    }

    /// The text form, of a fixed length.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.search);
        bytes.extend_from_slice(&self.position.key.to_be_bytes());
        bytes.extend_from_slice(self.position.content.as_bytes());
        bytes.extend_from_slice(&self.position.size.to_be_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads the text form.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        if text.len() > 2 * LENGTH {
            return Err(CursorError);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(CursorError)?;
        let (search, rest) = rest.split_first_chunk().ok_or(CursorError)?;
        let (key, rest) = rest.split_first_chunk().ok_or(CursorError)?;
        let (content, rest) = rest.split_first_chunk().ok_or(CursorError)?;
        let size: [u8; 8] = rest.try_into().map_err(|_| CursorError)?;
        let position = Position {
            key: i64::from_be_bytes(*key),
            content: ContentId::from_bytes(*content),
            size: u64::from_be_bytes(size),
        };
        Ok(Self { position, search: *search })
    }
}

/// What makes two searches the same one for a cursor: all but the page and the time.
fn fingerprint(search: &Search) -> [u8; 8] {
    let text = format!("{:?}|{:?}|{:?}", search.query, search.filter, search.sort);
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::Sort,
        index::search::{Filter, Query},
        time::Timestamp,
    };

    fn search(words: &str) -> Search {
        Search {
            query: Query::parse(words).unwrap(),
            filter: Filter::default(),
            sort: Sort::Relevance,
            after: None,
            limit: 10,
            online_since: Timestamp::from_millis(0),
        }
    }

    proptest! {
        #[test]
        fn a_cursor_survives_its_text(key: i64, content: [u8; 32], size: u64) {
            let position = Position { key, content: ContentId::from_bytes(content), size };
            let cursor = Cursor::new(position, &search("some words"));
            let read = Cursor::decode(&cursor.encode()).unwrap();
            prop_assert_eq!(read.position_in(&search("words some")), Ok(position));
            prop_assert_eq!(read.position_in(&search("other words")), Err(CursorError));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Cursor::decode(&text);
        }
    }
}
