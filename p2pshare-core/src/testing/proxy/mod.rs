//! A wire on which things go wrong: a TCP proxy that corrupts, cuts, stalls, resets and slows on purpose.

mod fault;
mod pass;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use self::fault::{Direction, WireFault, WireFaults};
use self::pass::Pass;

/// Stands between the two ends of TCP connections and passes on what they send, with faults.
///
/// Faults are chosen for each connection by its number, counted from 0 in the order in which they come, and each
/// direction has its own. They happen at offsets of the bytes that pass, never by a clock, so the same choice and the
/// same bytes give the same faults.
///
/// Dropping it resets all connections and frees the port.
///
/// ```
/// use p2pshare_core::testing::proxy::{Direction, TcpProxy, WireFault, WireFaults};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
/// let proxy = TcpProxy::start(server.local_addr()?).await?;
/// let cut = WireFaults::none().with(Direction::ToClient, WireFault::Cut(3));
/// proxy.set_faults(move |connection| if connection == 0 { cut } else { WireFaults::none() });
///
/// let mut client = tokio::net::TcpStream::connect(proxy.addr()).await?;
/// let (mut accepted, _) = server.accept().await?;
/// tokio::io::AsyncWriteExt::write_all(&mut accepted, b"abcdef").await?;
/// let mut got = Vec::new();
/// client.read_to_end(&mut got).await?;
/// assert_eq!(got, b"abc");
/// # Ok(())
/// # }
/// ```
pub struct TcpProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    state: Mutex<State>,
    /// Ends everything.
    stop: CancellationToken,
    running: TaskTracker,
}

struct State {
    server: Option<SocketAddr>,
    choose: Arc<Choose>,
    heard: Arc<Heard>,
    connections: u64,
    /// Ends the connections of now.
    reset: CancellationToken,
}

type Choose = dyn Fn(u64) -> WireFaults + Send + Sync;
type Heard = dyn Fn(u64, Direction, &[u8]) + Send + Sync;

impl TcpProxy {
    /// Listens on a free port of 127.0.0.1 for connections to this server. Nothing goes wrong until it is told so.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let proxy = Self::without_server().await?;
        proxy.set_server(server);
        Ok(proxy)
    }

    /// Listens, for a server that is not there yet: until [`set_server`](Self::set_server) connections end at once.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn without_server() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let stop = CancellationToken::new();
        let state = State {
            server: None,
            choose: Arc::new(|_| WireFaults::none()),
            heard: Arc::new(|_, _, _| {}),
            connections: 0,
            reset: stop.child_token(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            stop: stop.clone(),
            running: TaskTracker::new(),
        });
        let addr = listener.local_addr()?;
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { addr, shared, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where connections lead from now on.
    pub fn set_server(&self, server: SocketAddr) {
        self.shared.state().server = Some(server);
    }

    /// Chooses the faults of the connections that come from now on, by their numbers.
    pub fn set_faults(&self, choose: impl Fn(u64) -> WireFaults + Send + Sync + 'static) {
        self.shared.state().choose = Arc::new(choose);
    }

    /// Tells of all bytes that are passed on over the connections that come from now on: the connection's number, the
    /// direction, and the bytes as the receiver gets them.
    pub fn listen(&self, heard: impl Fn(u64, Direction, &[u8]) + Send + Sync + 'static) {
        self.shared.state().heard = Arc::new(heard);
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.running.len()
    }

    /// Resets the connections that are open.
    pub fn reset_all(&self) {
        let stop = self.shared.stop.child_token();
        std::mem::replace(&mut self.shared.state().reset, stop).cancel();
    }
}

impl fmt::Debug for TcpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut proxy = f.debug_struct("TcpProxy");
        proxy.field("addr", &self.addr).field("connections", &self.connections());
        proxy.finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Some(Ok((client, _))) = shared.stop.run_until_cancelled(listener.accept()).await {
        let connection = {
            let mut state = shared.state();
            let number = state.connections;
            state.connections += 1;
            Connection {
                number,
                server: state.server,
                choose: state.choose.clone(),
                heard: state.heard.clone(),
                reset: state.reset.clone(),
            }
        };
        shared.running.spawn(connection.run(client));
    }
}

struct Connection {
    number: u64,
    server: Option<SocketAddr>,
    choose: Arc<Choose>,
    heard: Arc<Heard>,
    reset: CancellationToken,
}

impl Connection {
    async fn run(self, mut client: TcpStream) {
        let Some(addr) = self.server else {
            return;
        };
        let connect = self.reset.run_until_cancelled(TcpStream::connect(addr));
        let Some(Ok(mut server)) = connect.await else {
            return;
        };
        // A proxy that waits to fill packets would be a fault of its own.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let passing = self.pass(&mut client, &mut server);
        if !matches!(self.reset.run_until_cancelled(passing).await, Some(Ok(()))) {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }

    async fn pass(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
    ) -> Result<(), pass::Broken> {
        let faults = (self.choose)(self.number);
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (up, down) = (CancellationToken::new(), CancellationToken::new());
        let up_pass = Pass {
            from: from_client,
            to: to_server,
            fault: faults.direction(Direction::ToServer),
            ended: up.clone(),
            other_ended: down.clone(),
        };
        let down_pass = Pass {
            from: from_server,
            to: to_client,
            fault: faults.direction(Direction::ToClient),
            ended: down,
            other_ended: up,
        };
        let heard = |direction| move |data: &[u8]| (self.heard)(self.number, direction, data);
        tokio::try_join!(
            up_pass.run(heard(Direction::ToServer)),
            down_pass.run(heard(Direction::ToClient)),
        )?;
        Ok(())
    }
}
