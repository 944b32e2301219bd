//! Serves a device of this host to a training run on another host: `train --devices cpu,ws://THIS_HOST:PORT`.
//!
//! The device computes with burn's own operations instead of this project's kernels. Weights and gradients cross the
//! network in each step. The connection is neither encrypted nor authenticated: listen only in a trusted network, or on
//! this host and connect through `ssh -L`.

use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
};

use anyhow::Context;
use burn::server::{RemoteServer, WebSocketTransport};
use clap::Parser;
use otjr::platform::{self, DeviceChoice};

/// Serve a device of this host to a training run on another host
#[derive(Parser)]
#[command(
    name = "serve-device",
    version,
    after_help = "On the other host: train --devices cpu,ws://THIS_HOST:3000. \
                  The connection is neither encrypted nor authenticated."
)]
struct Arguments {
    #[arg(long, default_value = "auto", value_name = "DEVICE", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// Address to listen on; 0.0.0.0:3000 accepts connections from every host
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "IP:PORT")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    otjr_cli::main(|| run(&Arguments::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let opened = pollster::block_on(platform::open(arguments.device))?;
    let listen = || -> std::io::Result<_> {
        let listener = TcpListener::bind(arguments.listen)?;
        Ok((listener.local_addr()?, listener))
    };
    let (address, listener) = listen().with_context(|| format!("could not listen on {}", arguments.listen))?;
    println!("{} is served at ws://{address}; press Ctrl-C to stop", opened.name);
    RemoteServer::new([opened.device])
        .serve(WebSocketTransport::from_listener(listener))
        .context("the connection to the network failed")
}
