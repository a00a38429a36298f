//! Parsers of what makes up a content.

use bytes::Bytes;

use crate::{
    content::{Layout, Manifest, ManifestBuilder, PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    testing::sample,
    transfer::{PieceAssembler, Segment},
};

/// A stored manifest is read back as it was, and written as it was read.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::read_from(data) {
        let mut written = Vec::new();
        manifest.write_to(&mut written).expect("memory can be written");
        assert_eq!(written.len(), manifest.encoded_len());
        assert!(data.starts_with(&written), "a manifest has one form");
    }
}

/// Parts of a manifest of a known content: whatever comes, the manifest is the right one or there is none.
///
/// The first byte says how to begin, the others are the tail and the parts; where they do not change what is right,
/// they must lead to it.
pub fn manifest_parts(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let content = sample(2 * PIECE_LEN + 5, 1);
    let right = hash_bytes(&content);
    let mut values = right.chaining_values().as_flattened().to_vec();
    let (mut len, mut tail) = (right.len(), right.tail().to_vec());
    match kind % 4 {
        // Differences.
        0 => values.iter_mut().zip(data).for_each(|(value, change)| *value ^= change),
        1 => tail.iter_mut().zip(data).for_each(|(value, change)| *value ^= change),
        2 => len ^= data.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte)),
        // All of it from outside.
        _ => {
            let (first, rest) = data.split_at(data.len().min(32));
            (tail, values) = (first.to_vec(), rest.to_vec());
        }
    }
    let step = usize::from(kind) + 1;
    let build = || {
        let mut builder = ManifestBuilder::new(right.id(), len, &tail).ok()?;
        for part in values.chunks(step * 32) {
            builder.push(part).ok()?;
        }
        builder.finish().ok()
    };
    if let Some(built) = build() {
        // Up to one piece anybody may claim any length.
        assert!(built == right || built.layout().piece_count() <= 1, "{built:?}");
    } else {
        assert!(kind % 4 > 2 || data.iter().any(|byte| *byte != 0), "what is right is refused");
    }
}

/// Segments in any order and of any length: pieces come whole and in order, made of the bytes that are due.
///
/// Of each six bytes the first two say how long a segment is and the others where it lies.
pub fn assembler(data: &[u8]) {
    let Some((&head, data)) = data.split_first() else { return };
    let len = [0, 1, PIECE_LEN, PIECE_LEN + 1, 3 * PIECE_LEN + 9][usize::from(head) % 5];
    let layout = Layout::new(len).expect("it is short");
    let first = u32::from(head) / 5 % 3;
    let runs = match head {
        0..128 => Vec::new(),
        _ => vec![PieceRun::new(PieceIndex(first), 2)],
    };
    let Ok(mut assembler) = PieceAssembler::new(layout, &runs) else { return };
    let mut due = assembler.current().map_or(len, |piece| layout.piece_offset(piece));
    for chunk in data.chunks_exact(6) {
        let exact = chunk[2] & 1 == 0;
        let size = usize::from(u16::from_le_bytes([chunk[0], chunk[1]])) << (chunk[2] >> 5);
        let far = u64::from(u16::from_le_bytes([chunk[4], chunk[5]]));
        let offset = if exact { due } else { far << (chunk[3] % 49) };
        let segment = Segment { offset, data: Bytes::from(vec![0; size]) };
        let (current, missing) = (assembler.current(), assembler.missing());
        let taken = assembler.push(segment);
        let fits =
            current.is_some() && offset == due && size <= missing && (size > 0 || missing == 0);
        assert_eq!(taken.is_ok(), fits, "{size} bytes at {offset}, {missing} missing at {due}");
        let Ok(whole) = taken else { continue };
        due += size as u64;
        assert_eq!(whole.is_some(), size == missing);
        if let Some((piece, slices)) = whole {
            assert_eq!(Some(piece), current);
            let bytes: usize = slices.iter().map(Bytes::len).sum();
            assert_eq!(bytes, layout.piece_len(piece));
        }
    }
    assert_eq!(assembler.finish().is_ok(), assembler.current().is_none());
}
