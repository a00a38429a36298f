//! The program `p2pshare-peer`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    p2pshare_peer::cli::main(std::env::args_os())
}
