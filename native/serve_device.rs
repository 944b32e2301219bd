//! Lends a device of this host to a training run on another: `train --devices cpu,ws://THIS_HOST:PORT`.
//!
//! The lent device computes with burn's own operations, not with this project's kernels, and the run's weights and
//! gradients cross the network in each step. Nothing is encrypted and nobody is asked who he is: listen where the network
//! is trusted, or on this host alone, behind `ssh -L`.

use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
};

use anyhow::Context;
use burn::server::{RemoteServer, WebSocketTransport};
use clap::Parser;
use otjr::platform::{self, DeviceChoice};

/// Lends a device of this host to a training run on another
#[derive(Parser)]
#[command(
    after_help = "There: train --devices cpu,ws://THIS_HOST:3000. Nothing is encrypted, and nobody is asked who he is."
)]
struct Arguments {
    #[arg(long, default_value = "auto", value_name = "DEVICE", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// Address to listen at; 0.0.0.0:3000 for all who reach this host
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
    let (address, listener) = listen().with_context(|| format!("could not listen at {}", arguments.listen))?;
    println!("{} is lent at ws://{address}; Ctrl-C ends that", opened.name);
    RemoteServer::new([opened.device])
        .serve(WebSocketTransport::from_listener(listener))
        .context("could not go on lending")
}
