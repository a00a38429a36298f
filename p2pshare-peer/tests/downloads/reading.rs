//! Contents that are read before they are complete.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::join_all};
use p2pshare_core::{content::ContentId, testing::sample, transfer::MemorySource};
use p2pshare_peer::downloads::{ContentReader, DownloadState, ReadError};
use tokio::time::{Instant, timeout};

use crate::support::{MIB, Peer, Seeder, files_below, start_index, wait_for, wait_for_state};

/// Reads a range to its end.
async fn read(reader: &ContentReader, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let mut stream = reader.read(range)?;
    let mut got = Vec::new();
    while let Some(bytes) = stream.next().await {
        got.extend_from_slice(&bytes?);
    }
    Ok(got)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_slow_content_is_read_long_before_the_rest_has_come() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(64 * MIB, 1);
    let id = seeder.share("film.mkv", &data).await;
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;

    let reader = manager.reader(id, Some(data.len() as u64)).await.unwrap();
    assert_eq!((reader.content(), reader.len()), (id, data.len() as u64));
    let start = read(&reader, 0..1000).await.unwrap();
    let end = read(&reader, data.len() as u64 - 5000..u64::MAX).await.unwrap();
    let middle = read(&reader, 30 * MIB..30 * MIB + 100).await.unwrap();
    let sent = seeder.sent();
    assert!(start == data[..1000] && end == data[data.len() - 5000..]);
    assert!(middle == data[30 << 20..][..100]);
    assert!(sent < data.len() as u64 / 2, "{sent} bytes had come");

    // Before most of it has come, a viewer that jumps about.
    let seeks = [63_u64, 5, 40, 20].map(|mib| read(&reader, mib * MIB..mib * MIB + 10));
    for (got, mib) in join_all(seeks).await.into_iter().zip([63_usize, 5, 40, 20]) {
        assert!(got.unwrap() == data[mib << 20..][..10]);
    }
    let out_of_it = reader.read(data.len() as u64 + 1..u64::MAX);
    assert!(matches!(out_of_it.err(), Some(ReadError::Range { .. })));
    assert!(read(&reader, data.len() as u64..u64::MAX).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_in_order_is_about_as_fast_as_downloading() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let mut told = Vec::new();
    // What the machine does besides makes either slower: it counts if it is so once.
    for round in 0..8 {
        let (one, other) = (sample(32 * MIB, 2 * round), sample(32 * MIB, 2 * round + 1));
        seeder.limit(1000);
        let read_id = seeder.share(&format!("read {round}"), &one).await;
        let name = format!("got {round}");
        seeder.share(&name, &other).await;
        seeder.limit(16);
        let begun = Instant::now();
        let id = bob.add(&manager, &name, &format!("alice:/{name}")).await;
        wait_for_state(&manager, id, DownloadState::Done).await;
        let download = begun.elapsed();
        let begun = Instant::now();
        let reader = manager.reader(read_id, None).await.unwrap();
        assert!(read(&reader, 0..u64::MAX).await.unwrap() == one);
        let reading = begun.elapsed();
        told.push((download, reading));
        if reading < download.mul_f64(1.3) {
            return;
        }
    }
    panic!("downloading and reading took {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_share_a_download_that_runs_and_outlive_its_end() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(12 * MIB, 1);
    let content = seeder.share("film", &data).await;
    seeder.limit(6);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film").await;
    wait_for(&manager, id, |view| view.bytes_done > 0).await;
    let reader = manager.reader(content, None).await.unwrap();
    let ranges = [0..12 * MIB, 7 * MIB..9 * MIB + 17, 3..4, 11 * MIB..12 * MIB];
    let reads = ranges.clone().map(|range| read(&reader, range));
    for (got, range) in join_all(reads).await.into_iter().zip(ranges) {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(got.unwrap() == data[range]);
    }
    assert!(files_below(&bob.folder("cache")).is_empty(), "nothing was fetched twice");
    wait_for_state(&manager, id, DownloadState::Done).await;

    // From the finished file, with nobody there, and with nobody logged in.
    seeder.go().await;
    manager.connect(None).await.unwrap();
    let again = manager.reader(content, None).await.unwrap();
    assert!(read(&again, 0..u64::MAX).await.unwrap() == data);
    // A file that is not what it was is not what was asked for.
    std::fs::write(bob.folder("got/film"), "something else").unwrap();
    let changed = manager.reader(content, None).await;
    assert!(matches!(changed, Err(ReadError::LoggedOut(_))), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_when_the_download_that_it_reads_is_paused() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(32 * MIB, 1);
    let content = seeder.share("film", &data).await;
    seeder.limit(4);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film").await;
    wait_for(&manager, id, |view| view.bytes_done > 0).await;
    let reader = manager.reader(content, None).await.unwrap();
    let mut stream = reader.read(0..u64::MAX).unwrap();
    let mut got = stream.next().await.unwrap().unwrap().to_vec();
    manager.pause(id).await.unwrap();
    seeder.rate.set(None);
    while let Some(bytes) = stream.next().await {
        got.extend_from_slice(&bytes.unwrap());
    }
    assert!(got == data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_of_every_size_are_read_from_wherever_they_are() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let bob = Peer::start("bob", &index).await;
    let shared = MemorySource::new();
    let mine = sample(3 * MIB + 1, 99);
    let mine_id = shared.insert(mine.clone()).id();
    let mut options = bob.options();
    options.shared = Some(Arc::new(shared));
    let manager = bob.open_with(options).await;
    for len in [0, 1, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB] {
        let data = sample(len, len + 1);
        let id = seeder.share(&format!("files/{len}"), &data).await;
        // A size that is wrong, or not known, makes no difference.
        for told in [Some(len), None, Some(0), Some(u64::MAX)] {
            let reader = manager.reader(id, told).await.unwrap();
            assert_eq!((reader.len(), reader.is_empty()), (len, len == 0));
            assert!(read(&reader, 0..u64::MAX).await.unwrap() == data, "{len} told as {told:?}");
        }
    }
    let reader = manager.reader(mine_id, None).await.unwrap();
    assert!(
        read(&reader, MIB - 1..2 * MIB + 1).await.unwrap()
            == mine[(1 << 20) - 1..][..1 + (1 << 20) + 1]
    );
    let nothing = manager.reader(ContentId::of(b"nothing"), None).await;
    assert!(matches!(nothing, Err(ReadError::NotFound(_))), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_source_a_reader_is_told_so_in_time() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data: Bytes = sample(8 * MIB, 1);
    let id = seeder.share("film", &data).await;
    let bob = Peer::start("bob", &index).await;
    let mut options = bob.options();
    options.read_patience = Duration::from_secs(1);
    let manager = bob.open_with(options).await;
    seeder.go().await;
    let away = timeout(Duration::from_secs(60), manager.reader(id, None)).await.unwrap();
    assert!(matches!(away, Err(ReadError::NoSource(_))), "{away:?}");
    seeder.come().await;
    // A second may be too short for a busy machine.
    let found = async {
        loop {
            match manager.reader(id, None).await {
                Err(ReadError::NoSource(_)) => {}
                other => return other.unwrap(),
            }
        }
    };
    let reader = timeout(Duration::from_secs(60), found).await.unwrap();
    assert!(read(&reader, 0..u64::MAX).await.unwrap() == data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_any_more_stops_and_makes_room() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let bob = Peer::start("bob", &index).await;
    let mut options = bob.options();
    options.read_grace = Duration::from_millis(20);
    options.cache_bytes = 5 * MIB;
    let manager = bob.open_with(options).await;
    let cache = bob.folder("cache");
    for n in 0..4 {
        let data = sample(3 * MIB, n);
        let id = seeder.share(&format!("film {n}"), &data).await;
        let reader = manager.reader(id, None).await.unwrap();
        assert!(read(&reader, 0..u64::MAX).await.unwrap() == data);
    }
    let slow = sample(64 * MIB, 9);
    let slow_id = seeder.share("slow", &slow).await;
    seeder.limit(2);
    let reader = manager.reader(slow_id, None).await.unwrap();
    assert!(read(&reader, 0..10).await.unwrap() == slow[..10]);
    drop(reader);
    // It stops, and only what fits is kept.
    let stopped = timeout(Duration::from_secs(60), async {
        loop {
            let files = files_below(&cache);
            let whole = files.keys().filter(|name| !name.contains(".part")).count();
            let locked = std::fs::File::open(cache.join(format!("{slow_id}.{slow_id:.16}.part")))
                .is_ok_and(|part| part.try_lock().is_err());
            if whole <= 1 && !locked {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    stopped.await.unwrap();
    drop(manager);
    let manager = bob.open().await;
    assert!(files_below(&cache).is_empty(), "at the next start it is empty");
    drop(manager);
}
