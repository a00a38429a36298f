//! What a program asks of the system for itself.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    num::NonZeroUsize,
    path::Path,
    sync::OnceLock,
    thread::available_parallelism,
};

/// How many threads this process may run at the same moment; 1 if the system does not tell.
///
/// The system is asked once: on Linux its answer takes the reading of several files.
#[must_use]
pub fn cores() -> NonZeroUsize {
    static CORES: OnceLock<NonZeroUsize> = OnceLock::new();
    *CORES.get_or_init(|| available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// What a person can do when a program cannot listen on an address, as half a sentence to which the name of the option
/// is added: `… with --listen`.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use p2pshare_core::process::listen_advice;
///
/// let advice = listen_advice(&Error::from(ErrorKind::AddrNotAvailable), "192.0.2.1:7401".parse()?);
/// assert!(advice.contains("no address 192.0.2.1"));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn listen_advice(error: &io::Error, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("another program uses port {port} (ss -ltnp shows which): choose another one")
        }
        // What listens on loopback is not for all.
        ErrorKind::AddrNotAvailable if ip.is_loopback() => {
            format!("this machine has no address {ip}: name one that it has")
        }
        ErrorKind::AddrNotAvailable => {
            let all = if ip.is_ipv4() { "0.0.0.0" } else { "[::]" };
            format!("this machine has no address {ip}: name one that it has, or {all} for all,")
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} is for programs with more rights: choose one from 1024 on")
        }
        _ => "choose another address".to_owned(),
    }
}

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

/// The number of the user who owns a file or folder, if this process is root's and what it makes there is not that
/// user's, who could not use it. `None` as well where nothing is. Blocks, and makes a file for a moment where the owner is
/// not root: on some network file systems all files are one user's, whoever makes them.
///
/// # Errors
/// What the system says of the path.
#[cfg(unix)]
pub fn owner_unlike_root(path: &Path) -> io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt;

    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let folder = if found.is_dir() { Some(path) } else { path.parent() };
    // Where root can make nothing, nobody is locked out.
    let is_foreign = |folder| owner_of_new(folder).is_ok_and(|own| own != found.uid());
    Ok(Some(found.uid()).filter(|owner| *owner != 0 && folder.is_some_and(is_foreign)))
}

/// Whose a file is that this process makes in a folder.
#[cfg(unix)]
fn owner_of_new(folder: &Path) -> io::Result<u32> {
    let path = folder.join(format!(".{:016x}.new", rand::random::<u64>()));
    let file = fs::File::create_new(&path)?;
    let owner = file.metadata().map(|made| std::os::unix::fs::MetadataExt::uid(&made));
    fs::remove_file(&path)?;
    owner
}

/// `None`: the system has no root.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn owner_unlike_root(_: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_for_the_address_that_was_asked_for() {
        let advice = |kind: ErrorKind, address: &str| {
            listen_advice(&io::Error::from(kind), address.parse().unwrap())
        };
        assert!(advice(ErrorKind::AddrInUse, "[::]:7401").contains("port 7401"));
        assert!(advice(ErrorKind::PermissionDenied, "0.0.0.0:80").contains("1024"));
        let elsewhere = advice(ErrorKind::AddrNotAvailable, "[2001:db8::1]:7401");
        assert!(elsewhere.contains("[::] for all"), "{elsewhere}");
        // The page must not be told to listen for the whole network.
        let local = advice(ErrorKind::AddrNotAvailable, "[::1]:7402");
        assert!(local.contains("no address ::1") && !local.contains("for all"), "{local}");
    }
}
