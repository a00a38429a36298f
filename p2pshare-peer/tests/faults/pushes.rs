//! Pushes to peers behind faulty wires.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use p2pshare_core::transfer::{MemorySource, TransferError};
use p2pshare_peer::net::PushProposal;
use tokio::time::timeout;

use crate::support::{Grants, Inbox, PIECE, bytes, name, within};
use crate::wires::{STALL, Wired};

/// A push that nothing slows down ends in this time, one way or the other.
const BOUND: Duration = Duration::from_secs(45);

async fn push(
    wire: &Wired,
    memory: &MemorySource,
    proposal: &PushProposal,
) -> Result<(), TransferError> {
    let grants = Grants::of("anna");
    let pushed = wire.remote.push(proposal, memory, &*grants, &|_| {}).boxed();
    pushed.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_end_in_the_right_bytes_or_in_the_cause() {
    let lengths = [0, 5000, PIECE, 3 * PIECE + 9];
    let mut well = 0;
    for seed in 0..24_u64 {
        let len = lengths[usize::try_from(seed).unwrap() % lengths.len()];
        let tls = seed / 4 % 2 == 0;
        let story = format!("seed {seed}: {len} bytes, TLS: {tls}");
        let memory = MemorySource::new();
        let data = bytes(len);
        let manifest = memory.insert(data.clone());
        let inbox = Arc::new(Inbox::default());
        let wire = Wired::start(&MemorySource::new(), Some(inbox.clone()), tls, STALL).await;
        wire.trouble(5000 + seed);
        let proposal = PushProposal { name: name("gift"), manifest: manifest.clone() };
        match timeout(BOUND, push(&wire, &memory, &proposal)).await {
            Ok(Ok(())) => {
                // Without TLS nobody sees that the name of the user was changed on the way.
                let sinks = inbox.sinks.lock().unwrap();
                let mut of_content = sinks.iter().filter(|((_, id), _)| *id == manifest.id());
                let right =
                    of_content.any(|(_, sink)| sink.finished().is_some_and(|it| it == data));
                assert!(right, "{story}: a receipt for what is not there");
                well += 1;
            }
            Ok(Err(error)) => assert!(!error.to_string().is_empty(), "{story}"),
            Err(_) => assert!(wire.was_slow(), "{story}: it hangs"),
        }
        wire.mend();
        let mut again = within(push(&wire, &memory, &proposal)).await;
        if again.is_err() {
            // It may have met the fault of a connection that was open. Now there is a new one.
            again = within(push(&wire, &memory, &proposal)).await;
        }
        again.unwrap_or_else(|error| panic!("{story}, after it was mended: {error}"));
        for ((_, id), sink) in &*inbox.sinks.lock().unwrap() {
            let got = sink.finished();
            let right = got.is_none() || *id == manifest.id() && got.is_some_and(|got| got == data);
            assert!(right, "{story}: wrong bytes");
        }
    }
    assert!((3..24).contains(&well), "{well} of 24 ended well at once");
}
