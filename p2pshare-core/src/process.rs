//! What a program asks of the system for itself.

/// Lets this process open as many files as the system allows: each connection is one, and each file that is served or
/// written. What the system refuses stays as it is.
#[cfg(unix)]
pub fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Nothing: the system has no such limit.
#[cfg(not(unix))]
pub fn raise_file_limit() {}
