//! The socket to listen on, its certificate, and the URL that results.

use std::net::SocketAddr;

use p2pshare_core::process::listen_advice;
use tokio::net::TcpListener;

use super::{
    config::{Config, Data, Tls},
    error::CliError,
};
use crate::{SelfSigned, TlsIdentity, private_file};

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
    Ok(Ready { listener, url: format!("{scheme}://{address}{pin}") })
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
