//! Secrets from the system's randomness.

use zeroize::Zeroizing;

/// `N` bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .expect("AWS-LC never returns without randomness: it ends the process if there is none");
    bytes
}
