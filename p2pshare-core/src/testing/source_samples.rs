//! Contents for tests.

use bytes::Bytes;

use crate::content::PIECE_LEN;

/// Lengths worth testing: nothing, one byte, one BLAKE3 chunk, around one piece, two pieces, more than two.
pub const SIZES: [u64; 9] = [
    0,
    1,
    1024,
    300_000,
    PIECE_LEN - 1,
    PIECE_LEN,
    PIECE_LEN + 1,
    2 * PIECE_LEN,
    3 * PIECE_LEN + 1,
];

/// `len` bytes that look random, the same for the same seed, others for another.
#[must_use]
pub fn sample(len: u64, seed: u64) -> Bytes {
    let mut data = vec![0; usize::try_from(len).expect("a sample fits into memory")];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut data);
    data.into()
}
