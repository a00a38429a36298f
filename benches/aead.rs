//! What encrypts the bytes of a transfer: the cryptographic library that TLS runs on, and the one that it could.
//!
//! A megabyte is sealed and opened in records of 16 KiB, as TLS 1.3 does.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const RECORD: usize = 16 << 10;
const RECORDS: usize = 64;
const TAG: usize = 16;

/// Both libraries have the same interface in modules of different names.
macro_rules! library {
    ($name:ident) => {
        mod $name {
            use $name::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};

            pub(super) fn key(algorithm: &'static Algorithm) -> LessSafeKey {
                let bytes = vec![7; algorithm.key_len()];
                LessSafeKey::new(UnboundKey::new(algorithm, &bytes).expect("a key of that length"))
            }

            fn nonce(record: usize) -> Nonce {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&(record as u64).to_be_bytes());
                Nonce::assume_unique_for_key(nonce)
            }

            pub(super) fn seal(key: &LessSafeKey, plain: &mut [Vec<u8>]) {
                for (number, record) in plain.iter_mut().enumerate() {
                    record.truncate(super::RECORD);
                    key.seal_in_place_append_tag(nonce(number), Aad::empty(), record)
                        .expect("it is short enough");
                }
            }

            pub(super) fn open(key: &LessSafeKey, sealed: &[Vec<u8>], out: &mut [Vec<u8>]) {
                for (number, (record, out)) in sealed.iter().zip(out).enumerate() {
                    out.clear();
                    out.extend_from_slice(record);
                    key.open_in_place(nonce(number), Aad::empty(), out).expect("it is genuine");
                }
            }
        }
    };
}

library!(aws_lc_rs);
library!(ring);

fn records() -> Vec<Vec<u8>> {
    (0..RECORDS)
        .map(|number| {
            let mut record = Vec::with_capacity(RECORD + TAG);
            record.resize(RECORD, number as u8);
            record
        })
        .collect()
}

macro_rules! measure {
    ($group:expr, $library:ident, $name:expr, $algorithm:ident) => {
        let key = $library::key(&::$library::aead::$algorithm);
        let mut sealed = records();
        $group.bench_function(
            BenchmarkId::new(concat!($name, " seal"), stringify!($library)),
            |bencher| {
                bencher.iter(|| $library::seal(&key, &mut sealed));
            },
        );
        let mut out = records();
        $group.bench_function(
            BenchmarkId::new(concat!($name, " open"), stringify!($library)),
            |bencher| {
                bencher.iter(|| $library::open(&key, &sealed, &mut out));
            },
        );
    };
}

fn aead(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1 MiB in records of 16 KiB");
    group.throughput(Throughput::Bytes((RECORD * RECORDS) as u64));
    measure!(group, aws_lc_rs, "AES-128-GCM", AES_128_GCM);
    measure!(group, ring, "AES-128-GCM", AES_128_GCM);
    measure!(group, aws_lc_rs, "AES-256-GCM", AES_256_GCM);
    measure!(group, ring, "AES-256-GCM", AES_256_GCM);
    measure!(group, aws_lc_rs, "ChaCha20-Poly1305", CHACHA20_POLY1305);
    measure!(group, ring, "ChaCha20-Poly1305", CHACHA20_POLY1305);
    group.finish();
}

criterion_group!(benches, aead);
criterion_main!(benches);
