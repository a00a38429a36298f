//! The gRPC service between two peers, generated from `proto/p2pshare/v1/transfer.proto`.
//!
//! The `.proto` file is the documentation of the protocol; any gRPC client in any language can be made from it.

/// Version 1 of the protocol: package `p2pshare.v1`.
#[allow(missing_docs)]
pub mod v1 {
    tonic::include_proto!("p2pshare.v1");
}

/// The compiled descriptors of the service, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/transfer.bin"));

/// Full name of the gRPC service, as paths and the health service use it.
pub const SERVICE_NAME: &str = "p2pshare.v1.Transfer";
