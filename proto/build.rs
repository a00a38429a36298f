//! Generates the gRPC code from `transfer.proto` with a compiler written in Rust, so that no `protoc` is needed.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["p2pshare/v1/transfer.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("transfer.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
