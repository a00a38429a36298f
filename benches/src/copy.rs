//! The yardstick: a file over a bare TCP connection, hashed and written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

/// How much is read, hashed and written at a time.
const BUFFER: usize = 1 << 20;
/// Buffers that go around at the receiver.
const BUFFERS: usize = 4;

/// Sends a file to everyone who connects, one after the other.
///
/// # Errors
/// Those of accepting.
pub fn serve(listener: &TcpListener, path: &Path) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        // Whoever went away is served no longer.
        let _ = send(stream, path);
    }
}

/// Receives a file: one thread reads the socket, another hashes and writes. Gives the hash.
///
/// # Errors
/// Those of the socket and the file.
pub fn receive(mut stream: TcpStream, path: &Path) -> io::Result<blake3::Hash> {
    let (full, to_write) = mpsc::sync_channel::<(Vec<u8>, usize)>(BUFFERS);
    let (empty, to_fill) = mpsc::sync_channel(BUFFERS);
    let mut file = File::create(path)?;
    let writer = thread::spawn(move || {
        let mut hasher = blake3::Hasher::new();
        for (buffer, len) in to_write {
            hasher.update(&buffer[..len]);
            file.write_all(&buffer[..len])?;
            // The reader may be done.
            let _ = empty.send(buffer);
        }
        Ok(hasher.finalize())
    });
    let mut made = 0;
    loop {
        let mut buffer = match made < BUFFERS {
            true => vec![0; BUFFER],
            false => to_fill.recv().map_err(|_| ended())?,
        };
        made += 1;
        let mut len = 0;
        while len < BUFFER {
            match stream.read(&mut buffer[len..])? {
                0 => break,
                read => len += read,
            }
        }
        if len == 0 {
            break;
        }
        full.send((buffer, len)).map_err(|_| ended())?;
    }
    drop(full);
    writer.join().map_err(|_| ended())?
}

fn send(mut stream: TcpStream, path: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that writes has ended")
}
