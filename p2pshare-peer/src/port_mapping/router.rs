//! The router of a home or an office, asked by whichever protocol it knows.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    num::NonZeroU16,
    time::Duration,
};

use async_trait::async_trait;
use crab_nat::{
    InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp,
    pcp::{self, BaseMapRequest},
};
use igd_next::{
    AddAnyPortError, AddPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions,
    aio::{
        Gateway,
        tokio::{Tokio, search_gateway},
    },
};

use super::keep::{MapError, Mapped, Router};

/// How long a router keeps a mapping that is not renewed, in seconds.
const LASTS: u32 = 1800;

/// One for less is no use.
const SHORTEST: u32 = 60;

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
        match before.map(|before| &before.lease) {
            Some(Lease::Pcp(mapping)) => renew_by_pcp(mapping).await,
            Some(Lease::Upnp(gateway)) => match at(gateway, inside, port).await {
                Ok(mapped) => Ok(mapped),
                // When it starts anew it may be asked elsewhere. Another machine that answers first is not meant.
                Err(_) => by_upnp(inside, port, Some(gateway.addr.ip())).await,
            },
            None => match by_pcp(inside, port).await {
                Ok(mapped) => Ok(mapped),
                Err(pcp) => by_upnp(inside, port, None)
                    .await
                    .map_err(|upnp| format!("PCP and NAT-PMP: {pcp}; UPnP: {upnp}")),
            },
        }
        .map_err(MapError)
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

async fn by_pcp(inside: SocketAddrV4, port: u16) -> Result<Mapped<Lease>, String> {
    let gateway = gateway().await?;
    let own = NonZeroU16::new(inside.port()).ok_or("no port is listened on")?;
    let ip = IpAddr::V4(*inside.ip());
    let options = for_a_while(NonZeroU16::new(port));
    let mapping = PortMapping::new(gateway.into(), ip, InternetProtocol::Tcp, own, options).await;
    given(mapping.map_err(|error| error.to_string())?).await
}

async fn renew_by_pcp(before: &PortMapping) -> Result<Mapped<Lease>, String> {
    let (gateway, protocol) = (before.gateway(), before.protocol());
    let options = for_a_while(Some(before.external_port()));
    let renewed = match before.mapping_type() {
        PortMappingType::Pcp { client, nonce, external_ip } => {
            let base = BaseMapRequest::new(gateway, client, protocol, before.internal_port());
            let renewed = pcp::port_mapping(base, Some(nonce), Some(external_ip), options).await;
            renewed.map_err(|error| error.to_string())
        }
        PortMappingType::NatPmp => {
            let own = before.internal_port();
            let renewed = natpmp::port_mapping(gateway, protocol, own, options).await;
            renewed.map_err(|error| error.to_string())
        }
    };
    given(renewed?).await
}

fn for_a_while(external_port: Option<NonZeroU16>) -> PortMappingOptions {
    PortMappingOptions { external_port, lifetime_seconds: Some(LASTS), timeout_config: Some(ASK) }
}

/// What a gateway has given by PCP or NAT-PMP.
async fn given(mapping: PortMapping) -> Result<Mapped<Lease>, String> {
    let lasts = mapping.lifetime().min(LASTS);
    if lasts < SHORTEST {
        return Err(format!("a port for {lasts} s is of no use"));
    }
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
        lasts: Duration::from_secs(lasts.into()),
        lease: Lease::Pcp(mapping),
    })
}

/// The machine to which everything goes that is for another network.
async fn gateway() -> Result<Ipv4Addr, String> {
    let asked = tokio::task::spawn_blocking(netdev::get_default_gateway).await;
    let gateway = asked.map_err(|error| error.to_string())??;
    gateway.ipv4.first().copied().ok_or_else(|| "the gateway has no address of IPv4".to_owned())
}

/// Asks the first router that answers, or the one with this address and no other.
async fn by_upnp(
    inside: SocketAddrV4,
    port: u16,
    only: Option<IpAddr>,
) -> Result<Mapped<Lease>, String> {
    let mut options = SearchOptions::default();
    options.bind_addr = (*inside.ip(), 0).into();
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let gateway = search_gateway(options).await.map_err(|error| error.to_string())?;
    if only.is_some_and(|only| gateway.addr.ip() != only) {
        return Err(format!("{} answers, which is another", gateway.addr));
    }
    at(&gateway, inside, port).await
}

/// Asks this router by UPnP.
async fn at(
    gateway: &Gateway<Tokio>,
    inside: SocketAddrV4,
    port: u16,
) -> Result<Mapped<Lease>, String> {
    let ip = match gateway.get_external_ip().await.map_err(|error| error.to_string())? {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => return Err(format!("{ip} is not an address of IPv4")),
    };
    let port = add_port(gateway, inside, port).await?;
    Ok(Mapped {
        outside: SocketAddrV4::new(ip, port),
        lasts: Duration::from_secs(LASTS.into()),
        lease: Lease::Upnp(Box::new(gateway.clone())),
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
        Ok(()) => return Ok(port),
        Err(AddPortError::PortInUse | AddPortError::SamePortValuesRequired) => {}
        Err(error) => return Err(error.to_string()),
    }
    let mut any = gateway.add_any_port(TCP, inside.into(), lasts, NAME).await;
    if matches!(any, Err(AddAnyPortError::OnlyPermanentLeasesSupported)) {
        any = gateway.add_any_port(TCP, inside.into(), FOR_GOOD, NAME).await;
    }
    any.map_err(|error| error.to_string())
}
