//! Downloads that end in the middle: what counts as held afterwards is exactly what is there.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::Path,
    process::Command,
};

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::{
    content::{Manifest, PIECE_LEN, PieceIndex, PieceSet, hash_bytes, verify_piece},
    testing::sample,
    transfer::{FileSink, PieceSink, SinkError, SinkOptions},
};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

#[derive(Debug, Clone)]
enum Step {
    Put(u32),
    /// Puts a piece and does not wait for it.
    PutAndDrop(u32),
    /// Puts wrong bytes.
    PutWrong(u32),
    Reopen,
    /// The disk, or somebody, writes something into the part.
    Garbage(u64, Vec<u8>),
    Cut(u64),
    LoseManifest,
    /// Finishes and does not wait for it.
    FinishAndDrop,
}

const LEN: u64 = 4 * PIECE_LEN + 1_000;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u32).prop_map(Step::Put),
        2 => (0..5_u32).prop_map(Step::PutAndDrop),
        1 => (0..5_u32).prop_map(Step::PutWrong),
        2 => Just(Step::Reopen),
        1 => (0..LEN, prop::collection::vec(any::<u8>(), 1..50))
            .prop_map(|(at, bytes)| Step::Garbage(at, bytes)),
        1 => (0..LEN).prop_map(Step::Cut),
        1 => Just(Step::LoseManifest),
        1 => Just(Step::FinishAndDrop),
    ]
}

struct Download {
    folder: TempDir,
    content: Bytes,
    manifest: Manifest,
    sink: Option<FileSink>,
}

impl Download {
    async fn begin(content: Bytes) -> Self {
        let mut download = Self {
            folder: tempdir().unwrap(),
            manifest: hash_bytes(&content),
            content,
            sink: None,
        };
        download.reopen().await;
        download
    }

    fn sink(&self) -> &FileSink {
        self.sink.as_ref().unwrap()
    }

    fn piece(&self, index: u32) -> Bytes {
        let layout = self.manifest.layout();
        let start = layout.piece_offset(PieceIndex(index)) as usize;
        let len = layout.piece_len(PieceIndex(index));
        self.content.slice(start..start + len)
    }

    /// Drops the sink, as a crash does, changes its files, and opens it again.
    async fn crash(&mut self, change: impl FnOnce(&Path)) {
        let part = self.sink().part_path().to_owned();
        self.sink = None;
        if part.exists() {
            change(&part);
        }
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        let target = self.folder.path().join("file");
        let options = SinkOptions::default();
        let sink = FileSink::open(&target, self.manifest.clone(), options);
        self.sink = Some(sink.await.unwrap());
    }

    /// The pieces whose bytes are right in the file, whichever of its names it has.
    fn really_there(&self) -> PieceSet {
        let sink = self.sink();
        let file = if sink.already_complete() { sink.target() } else { sink.part_path() };
        let bytes = fs::read(file).unwrap();
        assert_eq!(bytes.len() as u64, self.manifest.len());
        let layout = self.manifest.layout();
        let mut there = PieceSet::empty(layout.piece_count());
        for piece in layout.all().iter() {
            let start = layout.piece_offset(piece) as usize;
            let data = &bytes[start..start + layout.piece_len(piece)];
            if verify_piece(&self.manifest, piece, [data]).is_ok() {
                there.insert(piece);
            }
        }
        there
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Put(index) => {
                let data = vec![self.piece(index)];
                self.sink().put(PieceIndex(index), data).await.unwrap();
            }
            Step::PutAndDrop(index) => {
                let data = vec![self.piece(index)];
                let _ = self.sink().put(PieceIndex(index), data).now_or_never();
            }
            Step::PutWrong(index) => {
                let mut data = self.piece(index).to_vec();
                data[0] ^= 1;
                let held = self.sink().held().contains(PieceIndex(index));
                let result = self.sink().put(PieceIndex(index), vec![data.into()]).await;
                assert!(held || matches!(result, Err(SinkError::Mismatch(_))));
            }
            Step::Reopen => self.crash(|_| {}).await,
            Step::Garbage(at, bytes) => {
                self.crash(|part| {
                    let mut file = File::options().write(true).open(part).unwrap();
                    file.seek(SeekFrom::Start(at)).unwrap();
                    file.write_all(&bytes).unwrap();
                })
                .await;
            }
            Step::Cut(len) => {
                self.crash(|part| {
                    let file = File::options().write(true).open(part).unwrap();
                    file.set_len(len).unwrap();
                })
                .await;
            }
            Step::LoseManifest => {
                self.crash(|part| {
                    let name = format!("{}.manifest", part.display());
                    let _ = fs::remove_file(name);
                })
                .await;
            }
            Step::FinishAndDrop => {
                let _ = self.sink().finish().now_or_never();
                self.crash(|_| {}).await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn exactly_what_is_there_is_held(steps in prop::collection::vec(step(), 1..15)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut download = Download::begin(sample(LEN, 1)).await;
            for step in steps {
                download.take(step).await;
            }
            // Once more, with nothing under way: a write that nobody waits for may come after the sink was opened.
            download.crash(|_| {}).await;
            assert_eq!(download.sink().held(), download.really_there());
            for index in 0..5 {
                download.take(Step::Put(index)).await;
            }
            download.sink().finish().await.unwrap();
            let names = fs::read_dir(download.folder.path()).unwrap();
            assert_eq!(names.count(), 1);
            let target = download.folder.path().join("file");
            assert!(fs::read(target).unwrap() == download.content);
        });
    }
}

#[tokio::test]
async fn a_part_of_anything_counts_for_nothing() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(3 * PIECE_LEN, 1);
    let manifest = hash_bytes(&content);
    let options = SinkOptions::default();
    let sink = FileSink::open(&target, manifest.clone(), options.clone());
    let part = sink.await.unwrap().part_path().to_owned();
    // Longer than the content, and other bytes.
    fs::write(&part, sample(5 * PIECE_LEN, 2)).unwrap();
    let sink = FileSink::open(&target, manifest, options).await.unwrap();
    assert!(sink.held().is_empty());
    for piece in 0..3_usize {
        let data = content.slice(piece << 20..(piece + 1) << 20);
        sink.put(PieceIndex(piece as u32), vec![data]).await.unwrap();
    }
    sink.finish().await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
}

/// A small file system of its own; nothing where that is not allowed.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
        let mounted = mount.arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_stops_a_download_that_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: a full disk cannot be tested where a tmpfs cannot be mounted");
        return;
    };
    let target = disk.0.path().join("file");
    let content = sample(3 * PIECE_LEN, 1);
    let manifest = hash_bytes(&content);
    let ballast = disk.0.path().join("ballast");
    let options = SinkOptions::default();
    let open = || FileSink::open(&target, manifest.clone(), options.clone());
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let error = open().await.unwrap_err();
    let is_told = matches!(&error, SinkError::NoRoom { missing, free, .. }
        if *missing == 3 * PIECE_LEN && *free < *missing);
    assert!(is_told, "{error}");
    assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 1, "nothing is left but the ballast");

    // Somebody else fills it later.
    fs::remove_file(&ballast).unwrap();
    let sink = open().await.unwrap();
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let piece = |index: usize| vec![content.slice(index << 20..(index + 1) << 20)];
    sink.put(PieceIndex(0), piece(0)).await.unwrap();
    let error = sink.put(PieceIndex(1), piece(1)).await.unwrap_err();
    assert!(matches!(&error, SinkError::NoSpace(path) if *path == target), "{error}");
    assert_eq!(sink.held().len(), 1);
    assert!(!target.exists());
    // The same sink goes on, and so does another.
    fs::remove_file(&ballast).unwrap();
    sink.put(PieceIndex(1), piece(1)).await.unwrap();
    drop(sink);
    let sink = open().await.unwrap();
    assert_eq!(sink.held().len(), 2);
    sink.put(PieceIndex(2), piece(2)).await.unwrap();
    sink.finish().await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
    drop(sink);
}
