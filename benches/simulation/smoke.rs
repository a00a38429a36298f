//! Small crowds, to see that the model and what it drives hold.

use std::error::Error;

use crate::{outcome::Outcome, scenario::Scenario, world::World};

const PIECES: u32 = 64;

pub(crate) fn run(seed: u64) -> Result<(), Box<dyn Error>> {
    let run = |scenario: Scenario| World::run(scenario);
    let crowd = |peers| Scenario::crowd(peers, PIECES, 2, seed);

    let alone = run(crowd(1).honest())?;
    let line = crowd(1).bytes() / crowd(1).seed_line.up;
    let time = alone.within(1.0);
    assert!((line..line * 1.3).contains(&time), "one alone took {time} s; the line needs {line} s");
    assert_eq!(alone.copies, 1.0, "copies for one alone");

    let few = run(crowd(20))?;
    let again = run(crowd(20))?;
    assert_eq!(figures(&few), figures(&again), "the same seed gave something else");
    let many = run(crowd(160))?;
    for outcome in [&few, &many] {
        assert_eq!(outcome.unfinished, 0, "some never ended");
        assert!(outcome.copies < 4.0, "the seed sent {} copies", outcome.copies);
    }
    // Eight times as many at one seed alone would take eight times as long.
    let growth = many.within(0.5) / few.within(0.5);
    assert!(growth < 2.0, "eight times as many took {growth} times as long");
    Ok(())
}

/// All that must not depend on the machine.
fn figures(outcome: &Outcome) -> (Vec<u64>, u64, [u64; 3]) {
    let Outcome { copies, wasted, asked, .. } = outcome;
    let bits = [copies, wasted, asked].map(|figure| figure.to_bits());
    (outcome.times.clone(), outcome.events, bits)
}
