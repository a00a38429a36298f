//! The congestion control of sockets. Some paces what is sent, even over loopback, so all racers must have the same.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

/// What is asked for: it does not pace.
const WANTED: &str = "cubic";

/// Gives a listener, and so what it accepts, the one that does not pace, where the system has it.
pub fn prepare(socket: &impl AsFd) {
    // A system without it races with what it has; the table says which.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_congestion(socket, WANTED);
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, WANTED);
}

/// Gives it to all TCP sockets that this process has open.
pub fn prepare_all() {
    #[cfg(target_os = "linux")]
    for socket in open_files() {
        prepare(&socket);
    }
}

/// The name of the one that sockets of this program have once they are prepared.
pub fn name() -> String {
    let socket = TcpListener::bind(("127.0.0.1", 0));
    socket
        .ok()
        .as_ref()
        .and_then(|socket| {
            prepare(socket);
            name_of(socket)
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// A connection that has it.
///
/// # Errors
/// Those of connecting.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    prepare(&stream);
    Ok(stream)
}

#[cfg(target_os = "linux")]
fn name_of(socket: &impl AsFd) -> Option<String> {
    rustix::net::sockopt::tcp_congestion(socket).ok()
}

#[cfg(not(target_os = "linux"))]
fn name_of(_: &impl AsFd) -> Option<String> {
    None
}

/// Other handles on what this process has open: the libraries do not give theirs away.
#[cfg(target_os = "linux")]
fn open_files() -> Vec<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let Ok(process) = pidfd_open(getpid(), PidfdFlags::empty()) else {
        return Vec::new();
    };
    let numbers = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok())
        .collect()
}
