//! The socket to listen on, its certificate, and the URL that results.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use p2pshare_core::{private_file, process::listen_advice};
use tokio::net::TcpListener;

use super::{
    config::{Config, Data, Tls},
    error::CliError,
};
use crate::{SelfSigned, TlsIdentity};

/// Key and certificate of one's own making, in the data directory.
const SELF_SIGNED: &str = "tls.pem";

/// A socket that is ready, and what clients connect to.
pub(super) struct Ready {
    pub(super) listener: TcpListener,
    pub(super) url: String,
}

/// Opens the socket and puts the TLS settings into the server's options.
pub(super) async fn open(config: &mut Config) -> Result<Ready, CliError> {
    let (scheme, pin) = match identity(&config.tls, &config.data, config.listen)? {
        None => ("http", String::new()),
        Some((identity, pinned)) => {
            let fingerprint = identity.fingerprint();
            config.server.tls = Some(identity.into_config()?);
            if let Some(pages) = &mut config.http.pages {
                pages.https = true;
                pages.fingerprint = pinned.then(|| fingerprint.clone());
            }
            tracing::info!(%fingerprint, "serving with this certificate");
            ("https", if pinned { format!("#sha256={fingerprint}") } else { String::new() })
        }
    };
    let listen = config.listen;
    let cannot = |error| {
        let advice = listen_advice(&error, listen);
        CliError::Failed(format!("{listen} cannot be listened on: {error}; {advice} with --listen"))
    };
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    if config.tls == Tls::None && !address.ip().to_canonical().is_loopback() {
        tracing::warn!(%address, "INSECURE: without TLS, passwords and sessions travel in the clear");
    }
    let address = in_network(address);
    Ok(Ready { listener, url: format!("{scheme}://{address}{pin}") })
}

/// Where others in the network reach what listens on all addresses: at the one from which this machine would send to far
/// away. Any other address is the one to use, and so is this where there is no network.
fn in_network(address: SocketAddr) -> SocketAddr {
    // For documentation (RFC 5737, RFC 3849): nothing is sent to them.
    const FAR: [IpAddr; 2] = [
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    if !address.ip().is_unspecified() {
        return address;
    }
    // What listens on all of IPv6 listens on all of IPv4 too, mostly.
    let far = FAR.into_iter().filter(|far| far.is_ipv4() || address.is_ipv6());
    let own = far.filter_map(|far| {
        let any: IpAddr =
            if far.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        socket.local_addr().ok().map(|own| own.ip())
    });
    let own = own.into_iter().find(|own| !own.is_loopback() && !own.is_unspecified());
    own.map_or(address, |own| SocketAddr::new(own, address.port()))
}

/// The certificate to serve with, and whether clients must pin it.
fn identity(
    tls: &Tls,
    data: &Data,
    listen: SocketAddr,
) -> Result<Option<(TlsIdentity, bool)>, CliError> {
    match tls {
        Tls::None => Ok(None),
        Tls::Files { certificate, key } => {
            Ok(Some((TlsIdentity::from_pem_files(certificate, key)?, false)))
        }
        Tls::SelfSigned => Ok(Some((self_signed(data, listen)?, true))),
    }
}

fn self_signed(data: &Data, listen: SocketAddr) -> Result<TlsIdentity, CliError> {
    let make = || SelfSigned::generate(["localhost".to_owned(), listen.ip().to_string()]);
    let Some(dir) = &data.dir else {
        return Ok(TlsIdentity::from_one_pem(&"the new certificate", make()?.pem().as_bytes())?);
    };
    let path = dir.join(SELF_SIGNED);
    let pem = match private_file::read(&path)? {
        Some(pem) => pem,
        None => private_file::create_or_read(&path, make()?.pem().as_bytes())?,
    };
    Ok(TlsIdentity::from_one_pem(&path.display(), &pem)?)
}
