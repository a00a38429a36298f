//! A manifest from a stranger is right or refused.

use std::io::{self, Read};

use p2pshare_core::content::{
    ContentId, MAX_CONTENT_LEN, Manifest, ManifestBuilder, ManifestError, ManifestReadError,
    PIECE_LEN, hash_bytes,
};
use proptest::{prelude::*, test_runner::Config};

use crate::reference::{LENGTHS, content};

/// Contents with a manifest to tamper with: more than one piece, all kinds of tails.
fn manifests() -> Vec<Manifest> {
    let lengths = LENGTHS.into_iter().filter(|len| *len > PIECE_LEN);
    lengths.map(|len| hash_bytes(&content(len))).collect()
}

fn verify_changed(
    manifest: &Manifest,
    len: u64,
    change: impl FnOnce(&mut [u8; 32], &mut Vec<u8>, &mut Vec<[u8; 32]>),
) -> Result<Manifest, ManifestError> {
    let mut id = *manifest.id().as_bytes();
    let mut tail = manifest.tail().to_vec();
    let mut values = manifest.chaining_values().to_vec();
    change(&mut id, &mut tail, &mut values);
    Manifest::verify(ContentId::from_bytes(id), len, &tail, values)
}

#[test]
fn any_flipped_bit_is_refused() {
    for manifest in manifests() {
        let len = manifest.len();
        for bit in 0..8 * manifest.tail().len() {
            let result =
                verify_changed(&manifest, len, |_, tail, _| tail[bit / 8] ^= 1 << (bit % 8));
            assert_eq!(result, Err(ManifestError::Length { len }), "{len}: tail bit {bit}");
        }
        for bit in 0..256 * manifest.chaining_values().len() {
            let result = verify_changed(&manifest, len, |_, _, values| {
                values[bit / 256][bit / 8 % 32] ^= 1 << (bit % 8);
            });
            assert!(result.is_err(), "{len}: value bit {bit}");
        }
        for bit in 0..256 {
            let result = verify_changed(&manifest, len, |id, _, _| id[bit / 8] ^= 1 << (bit % 8));
            assert!(matches!(result, Err(ManifestError::Id { .. })), "{len}: id bit {bit}");
        }
        for bit in 0..64 {
            let wrong = len ^ (1 << bit);
            assert!(verify_changed(&manifest, wrong, |_, _, _| ()).is_err(), "{len}: as {wrong}");
        }
    }
}

/// Claims another length and makes the tail fit it, as a liar would who has the content.
#[test]
fn a_wrong_length_is_refused_with_every_tail_that_fits_it() {
    for manifest in manifests() {
        let len = manifest.len();
        let first = (manifest.layout().piece_count() - 1) as u64 * PIECE_LEN + 1;
        let last = first + PIECE_LEN - 1;
        let near = [1, 2, 63, 64, 512, 1023, 1024, 1025, 2048, 65_536];
        let shorter = near.iter().filter_map(|by| len.checked_sub(*by));
        let longer = near.iter().map(|by| len + by);
        let wrong = shorter.chain(longer).chain([first, last]);
        for wrong in wrong.filter(|wrong| (first..=last).contains(wrong) && *wrong != len) {
            // The honest tail of a content that is cut or goes on with zeros, with this content's values.
            let mut liars = content(len);
            liars.resize(usize::try_from(wrong).unwrap(), 0);
            let other = hash_bytes(&liars);
            let result =
                verify_changed(&manifest, wrong, |_, tail, _| *tail = other.tail().to_vec());
            assert_eq!(result, Err(ManifestError::Length { len: wrong }), "{len} as {wrong}");
            // And with the last value that goes with that tail.
            let result = verify_changed(&manifest, wrong, |_, tail, values| {
                *tail = other.tail().to_vec();
                *values.last_mut().unwrap() = *other.chaining_values().last().unwrap();
            });
            assert!(matches!(result, Err(ManifestError::Id { .. })), "{len} as {wrong}");
            // The chunk's bytes cut or filled with zeros, with its own siblings.
            let result = verify_changed(&manifest, wrong, |_, tail, _| {
                tail.resize(other.tail().len(), 0);
            });
            assert_eq!(result, Err(ManifestError::Length { len: wrong }), "{len} as {wrong}");
        }
    }
}

#[test]
fn a_content_of_one_piece_has_no_manifest_of_two() {
    // The two halves of one piece, put forward as if each were a piece.
    let bytes = content(PIECE_LEN);
    let half = bytes.len() / 2;
    let values: Vec<[u8; 32]> = [0, half]
        .into_iter()
        .map(|start| {
            use blake3::hazmat::HasherExt;
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(start as u64).update(&bytes[start..start + half]);
            hasher.finalize_non_root()
        })
        .collect();
    for len in [PIECE_LEN + 1, PIECE_LEN + 1024, 2 * PIECE_LEN] {
        let other = hash_bytes(&content(len));
        let result = Manifest::verify(ContentId::of(&bytes), len, other.tail(), values.clone());
        assert_eq!(result, Err(ManifestError::Length { len }));
    }
}

#[test]
fn a_content_of_one_piece_has_neither_tail_nor_values() {
    let id = ContentId::of(b"x");
    let tail = Manifest::verify(id, 1, b"x", vec![]);
    assert_eq!(tail, Err(ManifestError::TailLength { len: 1, expected: 0, found: 1 }));
    let value = Manifest::verify(id, 1, &[], vec![[0; 32]]);
    assert_eq!(value, Err(ManifestError::Count { len: 1, expected: 0, found: 1 }));
    assert!(Manifest::verify(id, 1, &[], vec![]).is_ok());
    let len = PIECE_LEN + 1;
    assert_eq!(Manifest::single(id, len), Err(ManifestError::NotSingle { len }));
}

#[test]
fn the_builder_refuses_too_many_too_few_and_ragged_parts() {
    let manifest = hash_bytes(&content(3 * PIECE_LEN));
    let (id, len, tail) = (manifest.id(), manifest.len(), manifest.tail());
    let bytes = manifest.chaining_values().as_flattened();
    let count = |found| ManifestError::Count { len, expected: 3, found };
    let builder = || ManifestBuilder::new(id, len, tail).unwrap();

    let mut too_few = builder();
    too_few.push(&bytes[..64]).unwrap();
    assert_eq!(too_few.finish(), Err(count(2)));

    let mut too_many = builder();
    too_many.push(bytes).unwrap();
    assert_eq!(too_many.push(&[0; 32]), Err(count(4)));
    assert_eq!(builder().push(&[0; 128]), Err(count(4)));

    assert_eq!(builder().push(&bytes[..33]), Err(ManifestError::Ragged { found: 33 }));
    assert_eq!(builder().push(&bytes[..31]), Err(ManifestError::Ragged { found: 31 }));

    for found in [0, tail.len() - 1, tail.len() + 1, 100_000] {
        let result = ManifestBuilder::new(id, len, &vec![0; found]).err();
        assert_eq!(result, Some(ManifestError::TailLength { len, expected: tail.len(), found }));
    }
    for len in [MAX_CONTENT_LEN + 1, u64::MAX] {
        let result = ManifestBuilder::new(id, len, tail).err();
        assert!(matches!(result, Some(ManifestError::TooLong(_))));
    }
}

#[test]
fn a_manifest_survives_its_stored_form() {
    for len in LENGTHS {
        let manifest = hash_bytes(&content(len));
        let mut bytes = vec![];
        manifest.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len(), manifest.encoded_len());
        bytes.extend_from_slice(b"what follows");
        let mut reader = &bytes[..];
        let read = Manifest::read_from(&mut reader).unwrap();
        assert_eq!(read, manifest);
        assert_eq!(read.tail(), manifest.tail());
        assert_eq!(read.chaining_values(), manifest.chaining_values());
        assert_eq!(reader, b"what follows");
    }
}

#[test]
fn a_stored_manifest_that_is_cut_anywhere_is_refused() {
    let mut bytes = vec![];
    hash_bytes(&content(3 * PIECE_LEN + 1)).write_to(&mut bytes).unwrap();
    for end in 0..bytes.len() {
        let result = Manifest::read_from(&bytes[..end]);
        assert!(matches!(result, Err(ManifestReadError::Truncated)), "{end}: {result:?}");
    }
}

#[test]
fn a_stored_manifest_with_a_flipped_bit_is_refused() {
    let mut bytes = vec![];
    hash_bytes(&content(3 * PIECE_LEN + 1)).write_to(&mut bytes).unwrap();
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Manifest::read_from(&bytes[..]).is_err(), "{bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn another_version_and_another_file_are_told_apart() {
    let mut bytes = vec![];
    hash_bytes(b"").write_to(&mut bytes).unwrap();
    bytes[8] = 2;
    let version = Manifest::read_from(&bytes[..]);
    assert!(matches!(version, Err(ManifestReadError::Version { found: 2 })));
    let not_one = Manifest::read_from(&b"PK\x03\x04 some other file"[..]);
    assert!(matches!(not_one, Err(ManifestReadError::NotAManifest)));
}

#[test]
fn an_error_of_the_reader_is_kept() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no disk"))
        }
    }
    let result = Manifest::read_from(Broken);
    assert!(matches!(result, Err(ManifestReadError::Io(error)) if error.to_string() == "no disk"));
}

#[test]
fn a_head_that_claims_the_largest_content_makes_no_large_read() {
    /// Answers every read with zeros after the head, a limited number of them.
    struct Claim<'a> {
        head: &'a [u8],
        zeros: usize,
        largest: usize,
    }
    impl Read for Claim<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.largest = self.largest.max(buffer.len());
            if !self.head.is_empty() {
                return self.head.read(buffer);
            }
            let read = buffer.len().min(self.zeros);
            buffer[..read].fill(0);
            self.zeros -= read;
            Ok(read)
        }
    }
    let mut head = b"p2pmanif\x01\0\0\0".to_vec();
    head.extend_from_slice(&[7; 32]);
    head.extend_from_slice(&MAX_CONTENT_LEN.to_le_bytes());
    let mut reader = Claim { head: &head, zeros: 100_000, largest: 0 };
    let result = Manifest::read_from(&mut reader);
    assert!(matches!(result, Err(ManifestReadError::Truncated)));
    assert!(reader.largest <= 64 << 10, "{}", reader.largest);

    let over = head.len() - 8;
    head[over..].copy_from_slice(&(MAX_CONTENT_LEN + 1).to_le_bytes());
    let result = Manifest::read_from(&head[..]);
    assert!(matches!(result, Err(ManifestReadError::Invalid(ManifestError::TooLong(_)))));
}

proptest! {
    #![proptest_config(Config::with_cases(256))]

    /// Whatever stands in a file, reading it ends without a panic, and only the truth is accepted.
    #[test]
    fn hostile_bytes_never_panic(
        id: [u8; 32],
        len in prop_oneof![any::<u64>(), 0..4 * PIECE_LEN, Just(MAX_CONTENT_LEN)],
        rest in prop::collection::vec(any::<u8>(), 0..4096),
    ) {
        let head = [&b"p2pmanif\x01\0\0\0"[..], &id, &len.to_le_bytes()].concat();
        let result = Manifest::read_from([head, rest].concat().as_slice());
        // Up to one piece there is nothing to check but the length.
        prop_assert_eq!(result.is_ok(), len <= PIECE_LEN);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::read_from(&bytes[..]).is_err());
    }
}
