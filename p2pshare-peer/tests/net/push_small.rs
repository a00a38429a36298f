//! Sending several small contents to another peer in one call.

use std::sync::Mutex;

use bytes::Bytes;
use p2pshare_core::content::{Manifest, hash_bytes};
use p2pshare_core::transfer::{MemorySink, MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{Kept, NotTaken, PushProposal, RemotePeer, SmallPush};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_response::Event as Answer;

use crate::script::{Script, Then};
use crate::support::{Guard, Inbox, PIECE, bytes, name, receiver, within};

fn small(number: usize, manifest: Manifest, user: &str) -> SmallPush {
    let proposal = PushProposal { name: name(&format!("{number}")), manifest };
    SmallPush { proposal, grant: format!("{}{user}", Guard::GRANT) }
}

/// Different contents of a few lengths, all of anna's.
fn contents(memory: &MemorySource, count: usize) -> Vec<SmallPush> {
    let content = |number: usize| {
        let len = [0, 1, 1000, PIECE, 70_000][number % 5];
        let data = bytes(len + number).slice(number..);
        small(number, memory.insert(data), "anna")
    };
    (0..count).map(content).collect()
}

/// Pushes, and gives what the peer has, in the order in which it was told.
async fn push(
    peer: &RemotePeer,
    contents: &[SmallPush],
    source: &dyn PieceSource,
) -> (Result<(), NotTaken>, Vec<(usize, Kept)>) {
    let told = Mutex::new(Vec::new());
    let kept = |number, kept| told.lock().unwrap().push((number, kept));
    let pushed = within(peer.push_small(contents, source, &kept)).await;
    (pushed, told.into_inner().unwrap())
}

fn finished(inbox: &Inbox, content: &SmallPush) -> Option<Bytes> {
    let key = ("anna".parse().unwrap(), content.proposal.manifest.id());
    let sinks = inbox.sinks.lock().unwrap();
    sinks.get(&key).and_then(MemorySink::finished)
}

fn in_order(told: &[(usize, Kept)]) -> bool {
    let right = |(at, (number, kept)): (usize, &(usize, Kept))| {
        at == *number && kept.name == name(&format!("from-anna/{number}"))
    };
    told.iter().enumerate().all(right)
}

#[tokio::test]
async fn several_small_contents_arrive_in_one_call() {
    for tls in [false, true] {
        let (server, inbox, peer) = receiver(tls).await;
        let memory = MemorySource::new();
        let contents = contents(&memory, 40);
        let (pushed, told) = push(&peer, &contents, &memory).await;
        pushed.unwrap();
        assert!(told.len() == 40 && in_order(&told), "{told:?}");
        for (number, content) in contents.iter().enumerate() {
            assert_eq!(told[number].1.wanted, !content.proposal.manifest.is_empty());
            let data = finished(&inbox, content).unwrap();
            assert_eq!(hash_bytes(&data).id(), content.proposal.manifest.id());
        }
        // Each was let in by itself.
        let seen: Vec<_> =
            server.guard.seen.lock().unwrap().iter().map(|seen| seen.content).collect();
        let ids: Vec<_> = contents.iter().map(|content| content.proposal.manifest.id()).collect();
        assert_eq!(seen, ids);

        // What is there already is passed over, wherever it comes.
        inbox
            .sinks
            .lock()
            .unwrap()
            .retain(|(_, id), _| ids.iter().position(|one| one == id).unwrap() % 3 > 0);
        let (pushed, told) = push(&peer, &contents, &memory).await;
        pushed.unwrap();
        assert!(told.len() == 40 && in_order(&told), "{told:?}");
        for (number, kept) in told {
            let is_empty = contents[number].proposal.manifest.is_empty();
            assert_eq!(kept.wanted, number % 3 == 0 && !is_empty, "{number}");
        }
        assert!(push(&peer, &[], &memory).await.0.is_ok());
    }
}

#[tokio::test]
async fn what_is_refused_ends_the_call_and_leaves_what_was_taken() {
    let (_server, inbox, peer) = receiver(false).await;
    let memory = MemorySource::new();
    let good = contents(&memory, 8);
    let mut forged = good.clone();
    forged[3].grant = "forged".to_owned();
    let mut of_others = good.clone();
    of_others[3].grant = format!("{}mallory", Guard::GRANT);
    for (contents, is_right) in [
        (
            forged,
            (|error| matches!(error, TransferError::Refused(_))) as fn(&TransferError) -> bool,
        ),
        (of_others, |error| matches!(error, TransferError::Protocol(_))),
    ] {
        inbox.sinks.lock().unwrap().clear();
        let (pushed, told) = push(&peer, &contents, &memory).await;
        let NotTaken { number, error } = pushed.unwrap_err();
        assert!(number == 3 && is_right(&error), "{number}: {error:?}");
        assert!(told.len() == 3 && in_order(&told), "{told:?}");
        assert!(finished(&inbox, &contents[2]).is_some());
        let others = contents[3..].iter().filter(|content| !content.proposal.manifest.is_empty());
        assert!(others.into_iter().all(|content| finished(&inbox, content).is_none()));
    }
}

#[tokio::test]
async fn wrong_bytes_are_those_of_their_content() {
    let (_server, inbox, peer) = receiver(false).await;
    let (memory, wrong) = (MemorySource::new(), MemorySource::new());
    let contents = contents(&memory, 6);
    for (number, content) in contents.iter().enumerate() {
        let manifest = content.proposal.manifest.clone();
        let data = match number {
            2 => Bytes::from(vec![7; manifest.len() as usize]),
            _ => bytes(manifest.len() as usize + number).slice(number..),
        };
        wrong.insert_empty(manifest.clone());
        let held = wrong.gain(&manifest.id(), &data, manifest.layout().all());
        assert!(held || manifest.is_empty());
    }
    let (pushed, told) = push(&peer, &contents, &wrong).await;
    let NotTaken { number, error } = pushed.unwrap_err();
    assert!(number == 2 && matches!(error, TransferError::Mismatch(_)), "{number}: {error:?}");
    assert_eq!(told.len(), 2);
    assert!(finished(&inbox, &contents[2]).is_none());
}

#[tokio::test]
async fn what_the_own_source_cannot_give_is_the_one_that_fails() {
    let (_server, _inbox, peer) = receiver(false).await;
    let memory = MemorySource::new();
    let contents = contents(&memory, 10);
    let gone = contents[6].proposal.manifest.id();
    assert!(memory.remove(&gone));
    let (pushed, told) = push(&peer, &contents, &memory).await;
    let NotTaken { number, error } = pushed.unwrap_err();
    let is_right = matches!(error, TransferError::NotFound(content) if content == gone);
    assert!(number == 6 && is_right, "{number}: {error:?}");
    assert!(told.len() <= 6 && in_order(&told), "{told:?}");
}

#[tokio::test]
async fn of_a_receiver_that_takes_one_in_a_call_it_is_told() {
    let receipt =
        |name: &str, more| Answer::Receipt(v1::PushReceipt { name: name.to_owned(), more });
    let wanted =
        || Answer::Wanted(v1::PushWanted { runs: vec![v1::PieceRun { start: 0, count: 1 }] });
    let unsupported = |error: &TransferError| matches!(error, TransferError::Unsupported);
    let broken = |error: &TransferError| matches!(error, TransferError::Protocol(_));
    type IsRight = fn(&TransferError) -> bool;
    let cases: [(Vec<Answer>, usize, IsRight); 5] = [
        (vec![wanted(), receipt("a", false)], 1, unsupported),
        (vec![receipt("a", true), wanted(), receipt("b", false)], 2, unsupported),
        // What is wanted twice, names that lead elsewhere, an end too early.
        (vec![wanted(), wanted()], 0, broken),
        (vec![receipt("a", true), receipt("../b", true)], 1, broken),
        (vec![receipt("a", true)], 1, broken),
    ];
    for (answers, taken, is_right) in cases {
        let answers = answers.into_iter().map(|event| v1::PushResponse { event: Some(event) });
        let script = Script { push: answers.collect(), then: Then::End, ..Script::default() };
        let peer = script.start_plain().await;
        let memory = MemorySource::new();
        let contents: Vec<_> =
            (1..4).map(|number| small(number, memory.insert(bytes(number)), "anna")).collect();
        let (pushed, told) = push(&peer, &contents, &memory).await;
        let NotTaken { number, error } = pushed.unwrap_err();
        assert!(number == taken && is_right(&error), "{number}: {error:?}");
        assert_eq!(told.len(), taken);
    }
}
