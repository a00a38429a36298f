//! Hashing and verifying.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::{hint::black_box, io::Write, num::NonZeroUsize, sync::atomic::AtomicBool};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use p2pshare_core::content::{PIECE_LEN, PieceIndex, hash_bytes, hash_file, verify_piece};

mod input {
    /// Bytes that do not repeat.
    pub(crate) fn bytes(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }
}

const MIB: usize = 1 << 20;

fn hashing(criterion: &mut Criterion) {
    let data = input::bytes(64 * MIB);
    let mut group = criterion.benchmark_group("hash 64 MiB");
    group.sample_size(10).throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("blake3 alone, one thread", |bencher| {
        bencher.iter(|| blake3::hash(black_box(&data)));
    });
    group.bench_function("manifest, one thread", |bencher| {
        bencher.iter(|| hash_bytes(black_box(&data)));
    });

    let mut file = tempfile::tempfile().expect("a temporary file can be made");
    file.write_all(&data).expect("it can be written");
    for threads in [1, 2] {
        group.bench_with_input(
            BenchmarkId::new("file, threads", threads),
            &threads,
            |bencher, &threads| {
                let threads = NonZeroUsize::new(threads);
                let never = AtomicBool::new(false);
                bencher.iter(|| {
                    hash_file(&file, threads, &|_| (), &never).expect("the file can be hashed")
                });
            },
        );
    }
    group.finish();
}

fn verifying(criterion: &mut Criterion) {
    let data = input::bytes(8 * MIB);
    let manifest = hash_bytes(&data);
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Bytes(PIECE_LEN));
    for segment in [64 << 10, 256 << 10, MIB] {
        group.bench_with_input(
            BenchmarkId::new("a piece in segments of", segment),
            &segment,
            |bencher, &segment| {
                let piece = &data[3 * MIB..4 * MIB];
                bencher.iter(|| {
                    verify_piece(&manifest, PieceIndex(3), black_box(piece).chunks(segment))
                        .expect("the piece is right");
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, hashing, verifying);
criterion_main!(benches);
