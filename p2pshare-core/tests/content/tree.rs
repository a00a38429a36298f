//! Hashing and verification against a slow recursive reference and against `blake3::hash`.

use p2pshare_core::content::{
    ContentId, Layout, Manifest, ManifestBuilder, ManifestHasher, PIECE_LEN, PieceIndex,
    PieceMismatch, PieceVerifier, hash_bytes, verify_piece,
};
use proptest::{prelude::*, test_runner::Config};

use crate::reference::{LENGTHS, Reference, content, reference};

fn parts(manifest: &Manifest) -> Reference {
    Reference {
        id: manifest.id(),
        values: manifest.chaining_values().to_vec(),
        tail: manifest.tail().to_vec(),
    }
}

fn piece_of<'a>(content: &'a [u8], layout: &Layout, piece: PieceIndex) -> &'a [u8] {
    let start = usize::try_from(layout.piece_offset(piece)).unwrap();
    &content[start..start + layout.piece_len(piece)]
}

#[test]
fn hashes_as_the_reference_and_as_blake3() {
    let longest = content(*LENGTHS.iter().max().unwrap());
    for len in LENGTHS {
        let content = &longest[..usize::try_from(len).unwrap()];
        let manifest = hash_bytes(content);
        assert_eq!(parts(&manifest), reference(content), "{len}");
        assert_eq!(manifest.id(), ContentId::of(content), "{len}");
        assert_eq!(manifest.len(), len);
        let values = manifest.chaining_values().to_vec();
        let taken = Manifest::verify(manifest.id(), len, manifest.tail(), values);
        assert_eq!(parts(&taken.unwrap()), parts(&manifest), "{len}");
    }
}

#[test]
fn verifies_each_piece_and_no_other_bytes() {
    let longest = content(*LENGTHS.iter().max().unwrap());
    for len in LENGTHS {
        let content = &longest[..usize::try_from(len).unwrap()];
        let manifest = hash_bytes(content);
        let layout = manifest.layout();
        for piece in layout.all().iter() {
            let bytes = piece_of(content, &layout, piece);
            assert_eq!(verify_piece(&manifest, piece, bytes.chunks(100_000)), Ok(()), "{len}");
            for at in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                let mut wrong = bytes.to_vec();
                let Some(byte) = wrong.get_mut(at) else {
                    continue;
                };
                *byte ^= 0x80;
                let result = verify_piece(&manifest, piece, [&wrong[..]]);
                assert_eq!(result, Err(PieceMismatch::Hash { piece }), "{len} {piece} {at}");
            }
        }
    }
}

#[test]
fn a_piece_is_not_taken_for_its_neighbour_even_with_the_same_bytes() {
    // Pieces that are alike have different chaining values, for a chunk's number is part of its node.
    let manifest = hash_bytes(&vec![0; usize::try_from(2 * PIECE_LEN).unwrap()]);
    let values = manifest.chaining_values();
    assert_ne!(values[0], values[1]);
    let swapped = vec![values[1], values[0]];
    let result = Manifest::verify(manifest.id(), manifest.len(), manifest.tail(), swapped);
    assert!(result.is_err());
}

#[test]
fn a_verifier_wants_exactly_the_bytes_of_its_piece() {
    let content = content(PIECE_LEN + 10);
    let manifest = hash_bytes(&content);
    let piece = PieceIndex(1);
    let bytes = piece_of(&content, &manifest.layout(), piece);

    let mut verifier = PieceVerifier::new(&manifest, piece).unwrap();
    verifier.update(&bytes[..4]).unwrap();
    assert_eq!(verifier.update(&[0; 7]), Err(PieceMismatch::TooLong { piece, len: 10 }));
    // What was refused was not taken.
    assert_eq!(verifier.missing(), 6);
    verifier.update(&bytes[4..]).unwrap();
    verifier.update(&[]).unwrap();
    assert_eq!(verifier.finish(), Ok(()));

    let short = verify_piece(&manifest, piece, [&bytes[..9]]);
    assert_eq!(short, Err(PieceMismatch::TooShort { piece, missing: 1 }));
    for piece in [PieceIndex(2), PieceIndex(u32::MAX)] {
        let refused = PieceVerifier::new(&manifest, piece).err();
        assert_eq!(refused, Some(PieceMismatch::NoSuchPiece { piece, last: PieceIndex(1) }));
    }
}

#[test]
fn the_length_of_a_single_piece_is_verified_with_it() {
    let content = content(5000);
    let id = ContentId::of(&content);
    let piece = PieceIndex(0);
    for (len, bytes) in [(4999, &content[..4999]), (5001, &[&content[..], &[0]].concat()[..])] {
        let manifest = Manifest::single(id, len).unwrap();
        assert_eq!(verify_piece(&manifest, piece, [bytes]), Err(PieceMismatch::Hash { piece }));
    }
    assert_eq!(verify_piece(&Manifest::single(id, 5000).unwrap(), piece, [&content[..]]), Ok(()));

    let empty = Manifest::single(ContentId::of(b""), 0).unwrap();
    assert_eq!(verify_piece(&empty, piece, []), Ok(()));
    let not_empty = Manifest::single(id, 0).unwrap();
    assert_eq!(verify_piece(&not_empty, piece, []), Err(PieceMismatch::Hash { piece }));
}

proptest! {
    #![proptest_config(Config::with_cases(24))]

    /// However a content is cut on its way, the manifest is the same.
    #[test]
    fn the_stream_hasher_does_not_mind_slices(
        len in 0..4 * PIECE_LEN,
        cuts in prop::collection::vec(1..2 * PIECE_LEN, 1..8),
    ) {
        let content = content(len);
        let mut hasher = ManifestHasher::new();
        let mut rest = &content[..];
        for cut in cuts {
            let (part, others) = rest.split_at(rest.len().min(usize::try_from(cut).unwrap()));
            hasher.update(part).unwrap();
            rest = others;
        }
        hasher.update(rest).unwrap();
        prop_assert_eq!(hasher.len(), len);
        prop_assert_eq!(parts(&hasher.finish()), reference(&content));
    }

    /// A manifest made by one and taken by another in parts of any size is the same, and verifies the pieces.
    #[test]
    fn a_manifest_goes_over_in_parts(
        len in 0..6 * PIECE_LEN,
        values_in_a_part in 1_usize..8,
        slice in 1_usize..300_000,
    ) {
        let content = content(len);
        let made = hash_bytes(&content);
        let mut builder = ManifestBuilder::new(made.id(), len, made.tail()).unwrap();
        for part in made.chaining_values().chunks(values_in_a_part) {
            prop_assert!(builder.missing() > 0);
            builder.push(part.as_flattened()).unwrap();
        }
        prop_assert_eq!(builder.missing(), 0);
        let taken = builder.finish().unwrap();
        prop_assert_eq!(parts(&taken), parts(&made));
        for piece in taken.layout().all().iter() {
            let bytes = piece_of(&content, &taken.layout(), piece);
            prop_assert_eq!(verify_piece(&taken, piece, bytes.chunks(slice)), Ok(()));
        }
    }
}
