//! A manifest that arrives in parts.

use super::{
    ChainingValue, ContentId, Layout, Manifest, ManifestError,
    tail::{last_piece_value, tail_len},
    tree::Merger,
};

const VALUE_LEN: usize = size_of::<ChainingValue>();

/// Takes a manifest from somebody else in parts and verifies it.
///
/// Never holds more than the claimed length allows, and takes memory only for what has arrived. The work of merging is
/// done as the parts come, about 100 ns for each value. After an error the builder is of no further use.
pub struct ManifestBuilder {
    claim: Claim,
    values: Vec<ChainingValue>,
    merger: Merger,
}

impl ManifestBuilder {
    /// Starts with what the head of a manifest claims: the content's length in bytes and the proof of it.
    ///
    /// # Errors
    ///
    /// [`ManifestError::TooLong`] or [`ManifestError::TailLength`] when the head cannot be right.
    pub fn new(id: ContentId, len: u64, tail: &[u8]) -> Result<Self, ManifestError> {
        let claim = Claim::new(id, len, tail)?;
        Ok(Self { claim, values: Vec::new(), merger: Merger::default() })
    }

    /// Takes the next chaining values, a whole number of them, any number up to those that are missing.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Ragged`] or [`ManifestError::Count`]; nothing of the part is taken then.
    pub fn push(&mut self, part: &[u8]) -> Result<(), ManifestError> {
        let (values, rest) = part.as_chunks::<VALUE_LEN>();
        if !rest.is_empty() {
            return Err(ManifestError::Ragged { found: part.len() });
        }
        if values.len() > self.missing() {
            return Err(self.claim.wrong_count(self.values.len().saturating_add(values.len())));
        }
        self.make_room(values.len());
        self.values.extend_from_slice(values);
        values.iter().for_each(|value| self.merger.push(*value));
        Ok(())
    }

    /// How many chaining values are still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.claim.expected_count().saturating_sub(self.values.len())
    }

    /// The verified manifest.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Count`] when chaining values are missing, [`ManifestError::Length`] and [`ManifestError::Id`]
    /// when they are wrong.
    pub fn finish(self) -> Result<Manifest, ManifestError> {
        self.claim.check_count(self.values.len())?;
        self.claim.conclude(self.values, self.merger)
    }

    /// Grows by doubling, as a `Vec` does, but never beyond what the content's length allows.
    fn make_room(&mut self, more: usize) {
        if self.values.capacity() - self.values.len() < more {
            let growth = more.max(self.values.len()).min(self.missing());
            self.values.reserve_exact(growth);
        }
    }
}

/// What the head of a manifest claims, checked as far as that goes without the chaining values.
pub(super) struct Claim {
    id: ContentId,
    layout: Layout,
    tail: Box<[u8]>,
    /// What the last chaining value must be, `None` when the content has none.
    last_value: Option<ChainingValue>,
}

impl Claim {
    pub(super) fn new(id: ContentId, len: u64, tail: &[u8]) -> Result<Self, ManifestError> {
        let layout = Layout::new(len)?;
        let expected = tail_len(&layout);
        let wrong_tail = ManifestError::TailLength { len, expected, found: tail.len() };
        if tail.len() != expected {
            return Err(wrong_tail);
        }
        let last_value = match layout.piece_count() {
            1 => None,
            _ => Some(last_piece_value(&layout, tail).ok_or(wrong_tail)?),
        };
        Ok(Self { id, layout, tail: tail.into(), last_value })
    }

    /// How many chaining values the content has.
    pub(super) fn expected_count(&self) -> usize {
        match self.layout.piece_count() {
            1 => 0,
            _ => self.layout.last_piece().as_usize() + 1,
        }
    }

    pub(super) fn check_count(&self, found: usize) -> Result<(), ManifestError> {
        if found != self.expected_count() {
            return Err(self.wrong_count(found));
        }
        Ok(())
    }

    fn wrong_count(&self, found: usize) -> ManifestError {
        ManifestError::Count { len: self.layout.len(), expected: self.expected_count(), found }
    }

    /// The manifest, if the values, of which there is the right number, fit the tail and merge to the id.
    pub(super) fn conclude(
        self,
        values: Vec<ChainingValue>,
        merger: Merger,
    ) -> Result<Manifest, ManifestError> {
        if values.last() != self.last_value.as_ref() {
            return Err(ManifestError::Length { len: self.layout.len() });
        }
        if self.last_value.is_some() && merger.id() != Some(self.id) {
            return Err(ManifestError::Id { id: self.id });
        }
        Ok(Manifest::from_proven(self.id, self.layout, self.tail, values))
    }
}
