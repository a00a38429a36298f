//! The planner against a slow, obvious model, over random histories.

#![allow(clippy::unwrap_used)]

mod swarm_model;

use std::time::Duration;

use p2pshare_core::{
    content::{Layout, PIECE_LEN, PieceIndex, PieceRun, PieceSet},
    swarm::{Failure, Next, Planner, PlannerConfig, SourceId},
};
use proptest::prelude::*;
use swarm_model::{Actor, Nature, World};

fn id(number: u8) -> SourceId {
    SourceId::from_bytes([number; 32])
}

fn layout(pieces: u32) -> Layout {
    Layout::new(u64::from(pieces) * PIECE_LEN).unwrap()
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn planner(pieces: u32) -> Planner {
    Planner::new(layout(pieces), &PieceSet::empty(pieces), 7, PlannerConfig::default())
}

/// The pieces of an answer that must be a fetch.
fn fetched(next: Next) -> Vec<PieceIndex> {
    match next {
        Next::Fetch(assignment) => assignment.runs.iter().flat_map(PieceRun::iter).collect(),
        other => panic!("not a fetch: {other:?}"),
    }
}

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        4 => Just(Nature::Honest),
        1 => Just(Nature::Liar),
        1 => Just(Nature::Flaky),
        1 => Just(Nature::Stalls),
        1 => Just(Nature::DeniesPieces),
        2 => Just(Nature::Queues),
        2 => Just(Nature::Chooses),
    ]
}

prop_compose! {
    fn actor()(
        nature in nature(),
        speed in prop::sample::select(vec![0.05, 0.3, 1.0, 4.0, 40.0, 900.0]),
        share in prop::sample::select(vec![0.0, 0.1, 0.5, 0.9, 1.0]),
        gains in prop::sample::select(vec![0.0, 0.01, 0.2]),
        joins_at in 0.0_f64..20.0,
        stays in prop_oneof![Just(f64::INFINITY), 0.1_f64..30.0],
    ) -> Actor {
        Actor::new(nature, speed, share, gains, joins_at, stays)
    }
}

proptest! {
    /// As long as each piece is with an honest source that stays, every history ends complete, and at every step the
    /// planner does only what the model allows.
    #[test]
    fn every_history_with_honest_sources_ends_complete(
        pieces in 1_u32..150,
        held in 0.0_f64..0.9,
        seed: u64,
        others in prop::collection::vec(actor(), 0..7),
        honest_speed in prop::sample::select(vec![0.5, 2.0, 50.0]),
        split in 1_u32..4,
    ) {
        let mut world = World::new(pieces, held, seed);
        // The honest ones that stay hold all pieces only together.
        for part in 0..split {
            let mut actor = Actor::new(Nature::Honest, honest_speed, 0.0, 0.0, 0.0, f64::INFINITY);
            actor.holds = (0..pieces).filter(|piece| piece % split == part).collect();
            world.add(actor);
        }
        for actor in others {
            world.add(actor);
        }
        world.run_to_the_end();
    }
}

#[test]
fn a_run_is_about_a_second_of_the_measured_speed() {
    let mut planner = planner(10_000);
    planner.join(id(1), &PieceSet::full(10_000), secs(0.0));
    let first = fetched(planner.next(id(1), secs(0.0)));
    assert_eq!(first.len(), 4);
    for (done, piece) in first.into_iter().enumerate() {
        let now = secs((done + 1) as f64 * 0.1);
        planner.received(id(1), PIECE_LEN, now);
        assert!(planner.piece_verified(id(1), piece, now).new);
    }
    let second = planner.next(id(1), secs(0.4));
    let Next::Fetch(assignment) = &second else {
        panic!("{second:?}");
    };
    assert_eq!(assignment.runs.len(), 1, "neighbours: {assignment:?}");
    assert!((9..=11).contains(&fetched(second).len()));
}

#[test]
fn the_rarest_pieces_come_first() {
    let mut planner = planner(64);
    planner.join(id(1), &PieceSet::full(64), secs(0.0));
    let most = PieceSet::from_runs(64, [PieceRun::new(PieceIndex(0), 62)]).unwrap();
    planner.join(id(2), &most, secs(0.0));
    let mut first = fetched(planner.next(id(1), secs(0.0)));
    first.truncate(2);
    assert_eq!(first, [PieceIndex(62), PieceIndex(63)]);
    planner.gained(id(2), &[PieceRun::new(PieceIndex(62), u32::MAX)]);
    planner.check_invariant().unwrap();
}

#[test]
fn a_liar_stays_out_and_its_reason_is_kept() {
    let mut planner = planner(8);
    assert!(planner.join(id(1), &PieceSet::full(8), secs(0.0)));
    let taken = fetched(planner.next(id(1), secs(0.0)));
    planner.lied(id(1), "piece 3 is wrong", secs(1.0));
    assert!(!planner.is_assigned(id(1), taken[0]));
    assert_eq!(planner.progress().free, 8);
    assert!(!planner.join(id(1), &PieceSet::full(8), secs(2.0)));
    assert_eq!(planner.next(id(1), secs(2.0)), Next::Gone);
    assert!(planner.struck().eq([(id(1), "piece 3 is wrong")]));
}

#[test]
fn pauses_double_up_to_the_cap_and_a_piece_ends_them() {
    let mut planner = planner(8);
    planner.join(id(1), &PieceSet::full(8), secs(0.0));
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let until = planner.failed(id(1), Failure::Passing, secs(0.0));
        assert_eq!(planner.next(id(1), secs(0.0)), Next::Wait { until });
        pauses.push(until.as_secs_f64());
    }
    for (failures, pause) in pauses.iter().enumerate() {
        let plain = (0.5 * f64::from(1 << failures)).min(30.0);
        assert!((plain * 0.75..plain * 1.25).contains(pause), "{pauses:?}");
    }
    let piece = fetched(planner.next(id(1), secs(60.0)))[0];
    planner.piece_verified(id(1), piece, secs(60.0));
    assert!(planner.failed(id(1), Failure::Passing, secs(60.0)) < secs(60.7));
    assert!(planner.failed(id(1), Failure::Lasting, secs(70.0)) > secs(92.0));
}

#[test]
fn at_the_end_a_fast_source_takes_over_from_a_silent_one() {
    let mut planner = planner(2);
    let full = PieceSet::full(2);
    planner.join(id(1), &full, secs(0.0));
    planner.join(id(2), &full, secs(0.0));
    let slow = fetched(planner.next(id(1), secs(0.0)));
    let fast = fetched(planner.next(id(2), secs(0.0)));
    planner.received(id(2), PIECE_LEN, secs(0.2));
    planner.piece_verified(id(2), fast[0], secs(0.2));
    // Nothing says yet that the other is slow.
    assert!(matches!(planner.next(id(2), secs(0.25)), Next::Wait { .. }));
    let copied = fetched(planner.next(id(2), secs(2.0)));
    assert_eq!(copied, slow);
    assert!(planner.is_assigned(id(1), slow[0]) && planner.is_assigned(id(2), slow[0]));
    planner.check_invariant().unwrap();
    let verified = planner.piece_verified(id(2), slow[0], secs(2.2));
    assert_eq!(verified.others, [id(1)]);
    assert_eq!(planner.next(id(1), secs(2.2)), Next::Done);
}

/// All but four bytes of the last piece have come, and a byte comes now and then.
#[test]
fn at_the_end_a_piece_is_not_kept_by_who_gives_almost_all_of_it() {
    let mut planner = planner(4);
    let (fast, slow) = (id(0), id(1));
    for source in [fast, slow] {
        planner.join(source, &PieceSet::full(4), secs(0.0));
    }
    let kept = fetched(planner.next(slow, secs(0.0)));
    let mut now = 0.0;
    let deliver = |planner: &mut Planner, source, piece, now| {
        planner.received(source, PIECE_LEN, secs(now));
        assert!(planner.piece_verified(source, piece, secs(now)).new);
    };
    let (last, first) = kept.split_last().unwrap();
    for piece in first {
        now += 0.1;
        deliver(&mut planner, slow, *piece, now);
    }
    now += 0.1;
    planner.received(slow, PIECE_LEN - 4, secs(now));
    let begun = now;
    let mut dribbles = [0.9, 1.8, 2.7].map(|after| begun + after).into_iter().peekable();
    let copied = loop {
        match planner.next(fast, secs(now)) {
            Next::Fetch(assignment) => {
                let pieces: Vec<_> = assignment.runs.iter().flat_map(PieceRun::iter).collect();
                if pieces.contains(last) {
                    break now;
                }
                for piece in pieces {
                    now += 0.1;
                    deliver(&mut planner, fast, piece, now);
                }
            }
            Next::Wait { until } => {
                now = until.as_secs_f64();
                if dribbles.next_if(|at| *at <= now).is_some() {
                    planner.received(slow, 1, secs(now));
                }
            }
            other => panic!("{other:?}"),
        }
        assert!(now < begun + 10.0, "it is waited for too long");
    };
    assert!(copied - begun < 3.0, "{copied} after {begun}");
    deliver(&mut planner, fast, *last, copied + 0.1);
    assert!(planner.is_done());
}

#[test]
fn the_largest_usual_content_is_planned_quickly() {
    let pieces = 1 << 20;
    let mut planner = planner(pieces);
    for source in 0..40 {
        let holds: Vec<_> = (0..pieces / 64)
            .filter(|block| (block + u32::from(source)) % 3 != 0)
            .map(|block| PieceRun::new(PieceIndex(block * 64), 64))
            .collect();
        let have = if source < 4 {
            PieceSet::full(pieces)
        } else if source < 8 {
            PieceSet::from_runs(pieces, holds).unwrap()
        } else {
            PieceSet::from_runs(pieces, [PieceRun::new(PieceIndex(u32::from(source) * 1000), 900)])
                .unwrap()
        };
        assert!(planner.join(id(source), &have, secs(0.0)));
    }
    let started = std::time::Instant::now();
    let mut now = secs(0.0);
    for _ in 0..100 {
        for source in 0..40 {
            now += Duration::from_millis(1);
            for piece in fetched(planner.next(id(source), now)) {
                planner.received(id(source), PIECE_LEN, now);
                planner.piece_verified(id(source), piece, now);
            }
        }
    }
    // 4,000 requests of up to 64 pieces. With work in proportion to the content it would be minutes.
    assert!(started.elapsed() < Duration::from_secs(20));
}
