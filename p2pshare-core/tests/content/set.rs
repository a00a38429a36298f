//! Sets of pieces against a model.

use std::collections::BTreeSet;

use p2pshare_core::content::{
    MAX_PIECE_COUNT, PieceIndex, PieceRun, PieceRunError, PieceSet, PieceSetError,
};
use proptest::prelude::*;

type Model = BTreeSet<u32>;

fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

fn set_of(piece_count: u32, model: &Model) -> PieceSet {
    let mut set = PieceSet::empty(piece_count);
    for piece in model {
        assert!(set.insert(PieceIndex(*piece)));
    }
    set
}

/// Every question has the model's answer.
fn check(set: &PieceSet, model: &Model) {
    let count = set.piece_count();
    assert_eq!(set.len() as usize, model.len());
    assert_eq!(set.is_empty(), model.is_empty());
    assert_eq!(set.is_full(), model.len() == count as usize);
    assert!(set.iter().map(|piece| piece.0).eq(model.iter().copied()));
    let missing = || (0..count).filter(|piece| !model.contains(piece));
    assert!(set.missing().map(|piece| piece.0).eq(missing()));
    for piece in 0..count + 2 {
        assert_eq!(set.contains(PieceIndex(piece)), model.contains(&piece));
    }
    check_runs(&set.runs().collect::<Vec<_>>(), &model.iter().copied().collect::<Vec<_>>());
    check_runs(&set.missing_runs().collect::<Vec<_>>(), &missing().collect::<Vec<_>>());
    assert_eq!(PieceSet::from_runs(count, set.runs()).as_ref(), Ok(set));
}

/// The runs have these pieces in order, and two neighbours have a gap between them.
fn check_runs(runs: &[PieceRun], pieces: &[u32]) {
    assert!(runs.iter().flat_map(PieceRun::iter).map(|piece| piece.0).eq(pieces.iter().copied()));
    assert!(runs.iter().all(|run| run.count > 0));
    assert!(runs.windows(2).all(|pair| pair[0].end().unwrap() < pair[1].start));
}

fn count_and_pieces() -> impl Strategy<Value = (u32, Model)> {
    (1_u32..300).prop_flat_map(|count| {
        let pieces = prop::collection::btree_set(0..count, 0..=count as usize);
        (Just(count), pieces)
    })
}

proptest! {
    #[test]
    fn a_set_is_as_its_model((count, model) in count_and_pieces()) {
        check(&set_of(count, &model), &model);
    }

    #[test]
    fn changes_are_as_in_the_model(
        (count, mut model) in count_and_pieces(),
        changes in prop::collection::vec((0_u8..3, 0_u32..320, 0_u32..40), 0..40),
    ) {
        let mut set = set_of(count, &model);
        for (change, piece, length) in changes {
            let inside = piece < count;
            match change {
                0 => prop_assert_eq!(set.insert(PieceIndex(piece)), inside && model.insert(piece)),
                1 => prop_assert_eq!(set.remove(PieceIndex(piece)), model.remove(&piece)),
                _ if length == 0 || piece + length > count => {
                    prop_assert!(set.insert_run(run(piece, length)).is_err());
                }
                _ => {
                    let new = (piece..piece + length).filter(|piece| model.insert(*piece)).count();
                    prop_assert_eq!(set.insert_run(run(piece, length)), Ok(new as u32));
                }
            }
        }
        check(&set, &model);
    }

    #[test]
    fn union_and_difference_are_as_in_the_model(
        (count, left) in count_and_pieces(),
        (other_count, right) in count_and_pieces(),
    ) {
        let set = set_of(count, &left);
        let other = set_of(other_count, &right);
        let union = left.union(&right).copied().filter(|piece| *piece < count).collect();
        check(&set.union(&other), &union);
        check(&set.difference(&other), &left.difference(&right).copied().collect());
    }
}

#[test]
fn full_and_empty() {
    for count in [1, 31, 32, 63, 64, 65, 1000] {
        check(&PieceSet::empty(count), &Model::new());
        check(&PieceSet::full(count), &(0..count).collect());
    }
    assert_eq!(PieceSet::full(MAX_PIECE_COUNT).runs().count(), 1);
}

#[test]
fn runs_from_outside_may_overlap_and_be_in_any_order() {
    let set = PieceSet::from_runs(10, [run(5, 3), run(0, 2), run(6, 3)]).unwrap();
    check(&set, &[0, 1, 5, 6, 7, 8].into_iter().collect());
}

#[test]
fn bad_runs_from_outside_are_refused() {
    let from_runs = |runs: &[PieceRun]| PieceSet::from_runs(10, runs.iter().copied());
    let empty = PieceRunError::Empty { start: PieceIndex(3) };
    assert_eq!(from_runs(&[run(3, 0)]), Err(empty.into()));
    for run in [run(10, 1), run(9, 2), run(0, 11), run(u32::MAX, u32::MAX), run(1, u32::MAX)] {
        let beyond = PieceRunError::OutOfRange { run, piece_count: 10 };
        assert_eq!(from_runs(&[run]), Err(beyond.into()));
    }
    let repeated = PieceSetError::Repeated { piece_count: 10 };
    assert_eq!(from_runs(&[run(0, 10), run(4, 1)]), Err(repeated));
    let too_many = PieceSetError::TooManyPieces { piece_count: u32::MAX };
    assert_eq!(PieceSet::from_runs(u32::MAX, []), Err(too_many));
}

#[test]
fn an_endless_list_of_runs_ends() {
    let endless = std::iter::repeat(run(0, MAX_PIECE_COUNT));
    let repeated = PieceSetError::Repeated { piece_count: MAX_PIECE_COUNT };
    assert_eq!(PieceSet::from_runs(MAX_PIECE_COUNT, endless), Err(repeated));
}
