//! Passwords under Argon2id.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::authenticator::{AuthError, Authenticator, Verdict};
use super::password::{Password, Verifier, VerifierError};
use super::random::random;
use crate::identity::Username;
use crate::process::cores;

/// What one hash costs. The default is OWASP's recommendation: 19 MiB, 2 passes, 1 lane ("Password Storage Cheat
/// Sheet").
///
/// Less than that makes stolen verifiers cheap to crack: only tests should go below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Params {
    /// Most memory for one hash: 1 GiB, in KiB.
    pub const MAX_MEMORY_KIB: u32 = 1 << 20;
    /// Most passes.
    pub const MAX_PASSES: u32 = 64;
    /// Most lanes.
    pub const MAX_LANES: u32 = 16;

    /// `memory_kib` KiB of memory for each hash (at least 8 for each lane), `passes` over it, in `lanes` lanes.
    ///
    /// # Errors
    /// [`ParamsError`] says the allowed ranges.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParamsError> {
        let allowed = (1..=Self::MAX_PASSES).contains(&passes)
            && (1..=Self::MAX_LANES).contains(&lanes)
            && (8 * lanes..=Self::MAX_MEMORY_KIB).contains(&memory_kib);
        if allowed { Ok(Self { memory_kib, passes, lanes }) } else { Err(ParamsError) }
    }

    fn hasher(self) -> Argon2<'static> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None)
            .expect("the ranges checked by `new` are narrower than those of Argon2");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }

    /// The parameters a stored hash was made with, if this version would make such a hash.
    fn of(hash: &PasswordHash) -> Result<Self, VerifierError> {
        let params = Params::try_from(hash).map_err(|_| VerifierError)?;
        let known = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && hash.salt.is_some()
            && params.output_len() == Some(Params::DEFAULT_OUTPUT_LEN);
        if !known {
            return Err(VerifierError);
        }
        Self::new(params.m_cost(), params.t_cost(), params.p_cost()).map_err(|_| VerifierError)
    }
}

impl Default for Argon2Params {
    fn default() -> Self {
        Self {
            memory_kib: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
        }
    }
}

/// Parameters are out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the parameters of Argon2 are out of range: memory 8 KiB for each lane to {} KiB, passes 1 to {}, lanes 1 to {}",
    Argon2Params::MAX_MEMORY_KIB,
    Argon2Params::MAX_PASSES,
    Argon2Params::MAX_LANES
)]
pub struct ParamsError;

/// Checks passwords itself, with Argon2id.
///
/// Hashes run on tokio's blocking threads, so many at once as there are cores; a bounded number of calls waits for
/// its turn, in order. The memory in use is thus at most that of the hashes that run, plus the waiting passwords.
///
/// A user whose verifier was made with other parameters costs what those cost, until it is made anew.
#[derive(Debug)]
pub struct Argon2Authenticator {
    params: Argon2Params,
    /// One permit for each call that is in, waiting or running.
    places: Arc<Semaphore>,
    /// One permit for each hash that runs.
    runs: Arc<Semaphore>,
    hashes: Arc<AtomicU64>,
}

impl Argon2Authenticator {
    /// How many calls may wait, unless told otherwise.
    pub const DEFAULT_WAITING: usize = 128;

    /// Hashes with `params`, as many at once as there are cores.
    pub fn new(params: Argon2Params) -> Self {
        Self::with_limits(params, cores().get(), Self::DEFAULT_WAITING)
    }

    /// Hashes with `params`, at most `running` at once (at least 1), while at most `waiting` calls wait.
    pub fn with_limits(params: Argon2Params, running: usize, waiting: usize) -> Self {
        let running = running.clamp(1, Semaphore::MAX_PERMITS);
        let places = running.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Self {
            params,
            places: Arc::new(Semaphore::new(places)),
            runs: Arc::new(Semaphore::new(running)),
            hashes: Arc::default(),
        }
    }

    /// How many hashes have been computed: for metrics.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Runs `work`, which computes one hash, in its turn.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| AuthError::Busy)?;
        let run = self.runs.clone().acquire_owned().await.map_err(|_| AuthError::Busy)?;
        let hashes = self.hashes.clone();
        // The permits go with the work: it runs to its end even if nobody waits for it any more.
        let task = spawn_blocking(move || {
            let _held = (place, run);
            hashes.fetch_add(1, Ordering::Relaxed);
            work()
        });
        task.await.map_err(|error| AuthError::Backend(error.into()))?
    }
}

impl Default for Argon2Authenticator {
    fn default() -> Self {
        Self::new(Argon2Params::default())
    }
}

#[async_trait]
impl Authenticator for Argon2Authenticator {
    async fn enroll(&self, _user: &Username, password: Password) -> Result<Verifier, AuthError> {
        let params = self.params;
        self.run(move || enroll(params, &password)).await
    }

    async fn verify(
        &self,
        _user: &Username,
        password: Password,
        verifier: Option<&Verifier>,
    ) -> Result<Verdict, AuthError> {
        let params = self.params;
        let verifier = verifier.cloned();
        self.run(move || match verifier {
            Some(verifier) => verify(params, &password, &verifier),
            None => refuse(params, &password),
        })
        .await
    }
}

fn enroll(params: Argon2Params, password: &Password) -> Result<Verifier, AuthError> {
    let salt = random::<16>();
    let hash = params.hasher().hash_password_with_salt(password.reveal().as_bytes(), &*salt);
    Ok(Verifier::parse(hash.map_err(failed)?.to_string())?)
}

fn verify(
    current: Argon2Params,
    password: &Password,
    verifier: &Verifier,
) -> Result<Verdict, AuthError> {
    let hash = PasswordHash::new(verifier.as_str()).map_err(|_| VerifierError)?;
    let made_with = Argon2Params::of(&hash)?;
    match made_with.hasher().verify_password(password.reveal().as_bytes(), &hash) {
        Ok(()) => Ok(Verdict::Accepted { rehash: made_with != current }),
        Err(HashError::PasswordInvalid) => Ok(Verdict::Refused),
        Err(error) => Err(failed(error)),
    }
}

/// Does for a user who does not exist what would be done for one who does.
fn refuse(params: Argon2Params, password: &Password) -> Result<Verdict, AuthError> {
    let hash = params.hasher().hash_password_with_salt(password.reveal().as_bytes(), &[0; 16]);
    black_box(hash.map_err(failed)?);
    Ok(Verdict::Refused)
}

fn failed(error: HashError) -> AuthError {
    AuthError::Backend(error.into())
}
