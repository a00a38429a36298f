//! The router of a home or an office, asked by whichever protocol it knows.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    num::NonZeroU16,
    time::Duration,
};

use async_trait::async_trait;
use crab_nat::{
    InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp,
};
use igd_next::{
    AddPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions,
    aio::{
        Gateway,
        tokio::{Tokio, search_gateway},
    },
};

use super::keep::{MapError, Mapped, Router};

/// How long a router keeps a mapping that is not renewed, in seconds.
const LASTS: u32 = 1800;

/// Some routers keep a mapping until it is given back, and take no other. It is asked for again all the same.
const FOR_GOOD: u32 = 0;

/// What people see in the router's list.
const NAME: &str = "p2pshare";

/// How long routers have to say that they know UPnP.
const SEARCH: Duration = Duration::from_secs(4);

/// How often and how long the gateway is asked whether it knows PCP or NAT-PMP.
const ASK: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_secs(1)),
};

/// The router by which this machine leaves its network.
#[derive(Debug)]
pub(crate) struct HomeRouter;

/// How a mapping was made.
#[derive(Debug)]
pub(crate) enum Lease {
    /// By PCP or NAT-PMP.
    Pcp(PortMapping),
    /// By UPnP.
    Upnp(Box<Gateway<Tokio>>),
}

#[async_trait]
impl Router for HomeRouter {
    type Lease = Lease;

    async fn map(
        &self,
        inside: SocketAddrV4,
        before: Option<&Mapped<Lease>>,
    ) -> Result<Mapped<Lease>, MapError> {
        let port = before.map_or(inside.port(), |before| before.outside.port());
        let renewed = match before {
            Some(Mapped { lease: Lease::Pcp(mapping), .. }) => Some(mapping.clone()),
            _ => None,
        };
        // Who answered by UPnP is not asked for the other every time.
        let pcp = match before {
            Some(Mapped { lease: Lease::Upnp(_), .. }) => Err("not asked again".to_owned()),
            _ => by_pcp(inside, port, renewed).await,
        };
        match pcp {
            Ok(mapped) => Ok(mapped),
            Err(pcp) => by_upnp(inside, port)
                .await
                .map_err(|upnp| MapError(format!("PCP and NAT-PMP: {pcp}; UPnP: {upnp}"))),
        }
    }

    async fn release(&self, mapped: Mapped<Lease>) {
        let released = match mapped.lease {
            Lease::Pcp(mapping) => mapping.try_drop().await.map_err(|(error, _)| error.to_string()),
            Lease::Upnp(gateway) => gateway
                .remove_port(PortMappingProtocol::TCP, mapped.outside.port())
                .await
                .map_err(|error| error.to_string()),
        };
        if let Err(error) = released {
            tracing::debug!(%error, "the router did not take its port back");
        }
    }
}

async fn by_pcp(
    inside: SocketAddrV4,
    port: u16,
    before: Option<PortMapping>,
) -> Result<Mapped<Lease>, String> {
    let mapping = match before {
        Some(mut mapping) => {
            mapping.renew().await.map_err(|error| error.to_string())?;
            mapping
        }
        None => {
            let gateway = gateway().await?;
            let own = NonZeroU16::new(inside.port()).ok_or("no port is listened on")?;
            let options = PortMappingOptions {
                external_port: NonZeroU16::new(port),
                lifetime_seconds: Some(LASTS),
                timeout_config: Some(ASK),
            };
            let ip = IpAddr::V4(*inside.ip());
            PortMapping::new(gateway.into(), ip, InternetProtocol::Tcp, own, options)
                .await
                .map_err(|error| error.to_string())?
        }
    };
    let ip = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
        PortMappingType::NatPmp => natpmp::external_address(mapping.gateway(), Some(ASK))
            .await
            .map_err(|error| error.to_string())?
            .into(),
    };
    let IpAddr::V4(ip) = ip else { return Err(format!("{ip} is not an address of IPv4")) };
    Ok(Mapped {
        outside: SocketAddrV4::new(ip, mapping.external_port().get()),
        lasts: Duration::from_secs(mapping.lifetime().into()),
        lease: Lease::Pcp(mapping),
    })
}

/// The machine to which everything goes that is for another network.
async fn gateway() -> Result<Ipv4Addr, String> {
    let asked = tokio::task::spawn_blocking(netdev::get_default_gateway).await;
    let gateway = asked.map_err(|error| error.to_string())??;
    gateway.ipv4.first().copied().ok_or_else(|| "the gateway has no address of IPv4".to_owned())
}

async fn by_upnp(inside: SocketAddrV4, port: u16) -> Result<Mapped<Lease>, String> {
    let mut options = SearchOptions::default();
    options.bind_addr = (*inside.ip(), 0).into();
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let gateway = search_gateway(options).await.map_err(|error| error.to_string())?;
    let ip = match gateway.get_external_ip().await.map_err(|error| error.to_string())? {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => return Err(format!("{ip} is not an address of IPv4")),
    };
    let port = add_port(&gateway, inside, port).await?;
    Ok(Mapped {
        outside: SocketAddrV4::new(ip, port),
        lasts: Duration::from_secs(LASTS.into()),
        lease: Lease::Upnp(Box::new(gateway)),
    })
}

/// Asks for a port, for another one if it is somebody else's, and for good if the router does not do it for some time.
async fn add_port(
    gateway: &Gateway<Tokio>,
    inside: SocketAddrV4,
    port: u16,
) -> Result<u16, String> {
    const TCP: PortMappingProtocol = PortMappingProtocol::TCP;

    let mut lasts = LASTS;
    let mut added = gateway.add_port(TCP, port, inside.into(), lasts, NAME).await;
    if matches!(added, Err(AddPortError::OnlyPermanentLeasesSupported)) {
        lasts = FOR_GOOD;
        added = gateway.add_port(TCP, port, inside.into(), lasts, NAME).await;
    }
    match added {
        Ok(()) => Ok(port),
        Err(AddPortError::PortInUse | AddPortError::SamePortValuesRequired) => {
            let any = gateway.add_any_port(TCP, inside.into(), lasts, NAME).await;
            any.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}
