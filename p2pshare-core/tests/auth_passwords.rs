//! Passwords are enrolled and verified, at the same cost for everybody and never too many at once.
#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use p2pshare_core::auth::{
    Argon2Authenticator, Argon2Params, AuthError, Authenticator, Password, Verdict, Verifier,
    VerifierError,
};
use p2pshare_core::identity::Username;
use tokio::runtime::{Builder, Runtime};

fn cheap() -> Argon2Params {
    Argon2Params::new(64, 1, 1).unwrap()
}

fn alice() -> Username {
    Username::parse("alice").unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

#[tokio::test]
async fn the_right_password_is_accepted_and_no_other() {
    let auth = Argon2Authenticator::new(cheap());
    let verifier = auth.enroll(&alice(), password("correct horse")).await.unwrap();
    let again = auth.enroll(&alice(), password("correct horse")).await.unwrap();
    assert_ne!(verifier, again, "each verifier has its own salt");
    assert!(verifier.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", verifier.as_str());

    // As a store gives it back.
    let verifier = Verifier::parse(verifier.as_str()).unwrap();
    for (text, verdict) in [
        ("correct horse", Verdict::Accepted { rehash: false }),
        ("correct horse ", Verdict::Refused),
        ("Correct horse", Verdict::Refused),
    ] {
        assert_eq!(auth.verify(&alice(), password(text), Some(&verifier)).await.unwrap(), verdict);
    }
}

#[tokio::test]
async fn a_user_who_does_not_exist_costs_a_hash_too() {
    let auth = Argon2Authenticator::new(cheap());
    let verifier = auth.enroll(&alice(), password("correct horse")).await.unwrap();
    let before = auth.hashes();
    auth.verify(&alice(), password("wrong horse"), Some(&verifier)).await.unwrap();
    assert_eq!(auth.hashes(), before + 1);
    let verdict = auth.verify(&alice(), password("correct horse"), None).await.unwrap();
    assert_eq!((verdict, auth.hashes()), (Verdict::Refused, before + 2));
}

#[tokio::test]
async fn verifiers_made_with_other_parameters_are_to_be_made_anew() {
    let old = Argon2Authenticator::new(cheap());
    let new = Argon2Authenticator::new(Argon2Params::new(128, 2, 1).unwrap());
    let verifier = old.enroll(&alice(), password("correct horse")).await.unwrap();
    let accepted = new.verify(&alice(), password("correct horse"), Some(&verifier)).await.unwrap();
    assert_eq!(accepted, Verdict::Accepted { rehash: true });
    let refused = new.verify(&alice(), password("wrong horse"), Some(&verifier)).await.unwrap();
    assert_eq!(refused, Verdict::Refused);
}

#[tokio::test]
async fn damaged_or_foreign_verifiers_are_an_error_and_no_work() {
    const SALT: &str = "c29tZXNhbHRzb21lc2FsdA";
    const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let auth = Argon2Authenticator::new(cheap());
    for phc in [
        "$".to_owned(),
        "$argon2id".to_owned(),
        format!("$argon2id$v=19$m=64,t=1,p=1${SALT}"),
        format!("$argon2i$v=19$m=64,t=1,p=1${SALT}${HASH}"),
        format!("$argon2id$v=16$m=64,t=1,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=64,t=1,p=1${SALT}$AAAAAAAAAAAAAAAA"),
        format!("$argon2id$v=19$m=4294967295,t=1,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=64,t=4294967295,p=1${SALT}${HASH}"),
        format!("$argon2id$v=19$m=64,t=1,p=16777215${SALT}${HASH}"),
        format!("$scrypt$ln=1,r=1,p=1${SALT}${HASH}"),
    ] {
        let verifier = Verifier::parse(phc.clone()).unwrap();
        let error =
            auth.verify(&alice(), password("correct horse"), Some(&verifier)).await.unwrap_err();
        assert!(matches!(error, AuthError::Verifier(VerifierError)), "{phc}: {error}");
    }
    let verifier = Verifier::parse(format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${HASH}")).unwrap();
    let verdict = auth.verify(&alice(), password("correct horse"), Some(&verifier)).await.unwrap();
    assert_eq!(verdict, Verdict::Refused);
}

#[test]
fn parameters_have_a_range_and_a_sound_default() {
    assert_eq!(Argon2Params::default(), Argon2Params::new(19 * 1024, 2, 1).unwrap());
    for (memory, passes, lanes) in [
        (7, 1, 1),
        (8, 0, 1),
        (8, 1, 0),
        (15, 1, 2),
        (1 << 21, 1, 1),
        (64, 65, 1),
        (u32::MAX, 1, u32::MAX),
    ] {
        assert!(Argon2Params::new(memory, passes, lanes).is_err(), "{memory} {passes} {lanes}");
    }
}

/// A runtime whose only blocking thread is held until the sender is dropped: no hash can run.
fn held_runtime() -> (Runtime, mpsc::Sender<()>) {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    (runtime, release)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn calls_above_the_bound_are_told_to_come_again() {
    let (runtime, release) = held_runtime();
    let auth = Argon2Authenticator::with_limits(cheap(), 1, 1);
    runtime.block_on(async {
        let user = alice();
        let call = || auth.verify(&user, password("correct horse"), None);
        let (mut running, mut waiting, mut third) = (call(), call(), call());
        assert!(poll(&mut running).is_pending());
        assert!(poll(&mut waiting).is_pending());
        assert!(matches!(poll(&mut third), Poll::Ready(Err(AuthError::Busy))));

        // Whoever stops waiting makes room.
        drop(waiting);
        let mut fourth = call();
        assert!(poll(&mut fourth).is_pending());

        drop(release);
        assert_eq!(running.await.unwrap(), Verdict::Refused);
        assert_eq!(fourth.await.unwrap(), Verdict::Refused);
        assert_eq!(auth.hashes(), 2);
    });
}

#[test]
fn work_of_a_caller_who_left_still_counts() {
    let (runtime, release) = held_runtime();
    let auth = Argon2Authenticator::with_limits(cheap(), 1, 0);
    runtime.block_on(async {
        let user = alice();
        let call = || auth.verify(&user, password("correct horse"), None);
        let mut left = call();
        assert!(poll(&mut left).is_pending());
        drop(left);
        assert!(matches!(call().await, Err(AuthError::Busy)));

        drop(release);
        loop {
            match call().await {
                Err(AuthError::Busy) => tokio::task::yield_now().await,
                answer => break assert_eq!(answer.unwrap(), Verdict::Refused),
            }
        }
        assert_eq!(auth.hashes(), 2);
    });
}
