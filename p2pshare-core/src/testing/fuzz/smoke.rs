//! Every target with every file of its corpus, and with what a little noise makes of it.

use std::{fs, path::Path};

use super::Target;

/// How often each file is changed.
const MUTATIONS: u64 = 200;

/// Runs the targets with their corpora, the folders of their names in `corpus`. The changes are the same in every run.
///
/// # Panics
///
/// When a target does, and when one has no corpus or a corpus has no target.
pub fn smoke(corpus: &Path, targets: &[Target]) {
    for (name, target) in targets {
        let files = files(&corpus.join(name));
        assert!(!files.is_empty(), "the target {name} has no corpus");
        for (number, file) in files.iter().enumerate() {
            target(file);
            for seed in 0..MUTATIONS {
                let other = &files[(number + 1) % files.len()];
                target(&mutated(file, other, seed));
            }
        }
    }
    let folders = fs::read_dir(corpus).expect("the corpora can be listed");
    for folder in folders {
        let name = folder.expect("a corpus").file_name();
        let known = targets.iter().any(|(target, _)| name == *target);
        assert!(known, "the corpus {} has no target", name.display());
    }
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("the corpus {}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file of a corpus")).collect()
}

/// Some bytes changed, cut, doubled, or taken from another file.
fn mutated(bytes: &[u8], other: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let (from, to) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
        let range = from.min(to)..from.max(to);
        match random.below(6) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            1 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] = *random.of(b"\0\x7f\xff/\\.:-%#{\"\xe2A0");
            }
            2 => drop(bytes.drain(range)),
            3 => {
                let slice = bytes[range].to_vec();
                bytes.splice(from..from, slice);
            }
            4 => bytes.truncate(from),
            _ => {
                let start = random.below(other.len() + 1);
                bytes.splice(range, other[start..].iter().take(40).copied());
            }
        }
    }
    bytes
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
