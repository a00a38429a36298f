//! What a peer's server and client allow the other end to take: memory, connections, time.

use std::time::Duration;

/// Largest message that may carry a segment: a whole piece and what is around it.
pub(crate) const MAX_SEGMENT_MESSAGE: usize = (1 << 20) + (16 << 10);
/// Largest message of any other kind.
pub(crate) const MAX_CONTROL_MESSAGE: usize = 256 << 10;
/// Largest request but a push: its runs of pieces and what is around them. Strangers can send one, too.
pub(crate) const MAX_REQUEST: usize = 64 << 10;
/// Largest first message of a push, which says what is offered; nobody is let in before it.
pub(crate) const MAX_OFFER: usize = 8 << 10;
/// Most runs of pieces in one message: at most 12 bytes and a head of 2 for each.
pub(crate) const MAX_RUNS: usize = 4096;
/// Most contents in one request for many, which [`MAX_REQUEST`] bounds too. Each has a grant that takes time to check.
pub(crate) const MAX_MANY: usize = 128;
/// Chaining values in one part of a manifest that this peer sends, in bytes.
pub(crate) const MANIFEST_PART: usize = 64 << 10;

/// How HTTP/2 is spoken, by either end of a connection.
///
/// The windows bound what the other end may have sent that was not yet taken: that is the memory of a connection, and
/// the largest product of bandwidth and delay that it can fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Settings {
    /// Largest frame that this end takes, in bytes, 16 KiB to 16 MiB.
    pub max_frame_size: u32,
    /// Window of each stream, in bytes.
    pub stream_window: u32,
    /// Window of the whole connection, in bytes.
    pub connection_window: u32,
    /// How much one stream may have waiting to be written to the socket, in bytes: it gets the next frame while it has
    /// less.
    pub send_buffer: usize,
    /// Most calls at a time on one connection that this end serves.
    pub max_streams: u32,
    /// Largest headers of a call or an answer, in bytes.
    pub max_header_list: u32,
    /// How long nothing may come before the other end is asked whether it lives.
    pub ping_interval: Duration,
    /// How long it may take to answer that.
    pub ping_timeout: Duration,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            max_frame_size: 1 << 20,
            stream_window: 8 << 20,
            connection_window: 32 << 20,
            send_buffer: 256 << 10,
            max_streams: 128,
            max_header_list: 16 << 10,
            ping_interval: Duration::from_secs(20),
            // Behind what a slow line has yet to carry.
            ping_timeout: Duration::from_secs(60),
        }
    }
}

/// What a server allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Most connections at a time.
    pub connections: usize,
    /// Most connections at a time from one IPv4 address or one IPv6 network of 64 bits.
    pub connections_per_address: usize,
    /// How long a new connection may take to shake hands (TLS and HTTP/2).
    pub handshake_timeout: Duration,
    /// How long a call may take until it is answered or, for a stream, until the answer begins.
    pub answer_timeout: Duration,
    /// How long a connection without a transfer is kept.
    pub idle_timeout: Duration,
    /// How long a client may read nothing of a fetch, or less than 64 KiB, or send nothing of a push, before the call is
    /// given up.
    pub stall_timeout: Duration,
    /// Of how many answers on one connection nothing, or less than 64 KiB, may be read for that time, before the
    /// connection is closed.
    pub unread_answers: usize,
    /// Most pushes at a time.
    pub pushes: usize,
    /// Most pushes at a time of one user.
    pub pushes_per_user: usize,
    /// How long calls may go on after the server was told to stop.
    pub shutdown_grace: Duration,
    /// How HTTP/2 is spoken.
    pub http2: Http2Settings,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 64,
            handshake_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            stall_timeout: Duration::from_secs(60),
            unread_answers: 4,
            pushes: 16,
            // A peer itself pushes four at a time.
            pushes_per_user: 6,
            shutdown_grace: Duration::from_secs(10),
            http2: Http2Settings::default(),
        }
    }
}

/// What a client allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// How long one address may take to connect and shake hands.
    pub connect_timeout: Duration,
    /// How long one address has to itself before the next is tried beside it (RFC 8305).
    pub connect_stagger: Duration,
    /// How long the addresses that are known from the local network may take, all together: nothing proves them, and
    /// whoever is near answers at once.
    pub nearby_timeout: Duration,
    /// How long a call may take until its answer begins, and how long a receiver of a push may take nothing, or say nothing
    /// while hardly anything passes over the connection; ten times as long otherwise.
    pub answer_timeout: Duration,
    /// How long hardly anything may pass over the connection of a fetch, unless the peer has put it into a queue.
    pub stall_timeout: Duration,
    /// How HTTP/2 is spoken.
    pub http2: Http2Settings,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            connect_stagger: Duration::from_millis(250),
            nearby_timeout: Duration::from_millis(750),
            answer_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            // All downloads from a peer share a connection, and each may have a request sent ahead whose bytes wait
            // until it is their turn. Those of as many as a peer serves at a time must never take the room of what
            // is read.
            http2: Http2Settings { connection_window: 80 << 20, ..Http2Settings::default() },
        }
    }
}
