//! The corpora of the fuzz targets, on any toolchain.

use std::path::Path;

use p2pshare_core::testing::fuzz::smoke;
use p2pshare_peer::fuzz::TARGETS;

#[test]
fn every_target_holds_on_its_corpus_and_around_it() {
    smoke(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"), &TARGETS);
}
