//! The reference registry until it is told to stop: its options, its address, its end. Decides nothing about entries.

mod answer;
mod serve;
mod store;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use vixp2p::base::config::Listen;
use vixp2p::driver::listen;

use crate::args::RegistryArgs;
use crate::failure::Failure;
use crate::secrets;

use self::answer::State;
use self::store::Store;

pub(crate) async fn run(args: RegistryArgs) -> Result<(), Failure> {
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => Some(secrets::token("--token-file", path)?),
        (None, None) => None,
    };
    let Listen::On { host, port } = &args.listen else {
        return Err(Failure::Usage("invalid --listen \"0\": a registry needs a port; 127.0.0.1:0 takes any free one".into()));
    };
    let token_missing = token.is_none();
    let socket = listen::bind(host, *port)?;
    let (store, entries) = args.data.as_deref().map(Store::open).transpose()?.unzip();
    let state = Arc::new(State::new(Duration::from_secs(u64::from(args.ttl)), token, store));
    let kept = state.restore(entries.unwrap_or_default()).await;
    let socket = tokio::net::TcpListener::from_std(socket).map_err(Failure::io("listening"))?;
    let address = socket.local_addr().map_err(Failure::io("listening"))?;
    let on = |kind| signal(kind).map_err(Failure::io("listening for signals"));
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    writeln!(std::io::stdout(), "registry listening on {address}, {kept} entries kept").map_err(Failure::stdout)?;
    if token_missing && !address.ip().is_loopback() {
        // With stderr closed the registry goes on all the same.
        let _ =
            writeln!(std::io::stderr(), "vixp2p: everybody who reaches {address} may use this registry; --token-file lets in only some");
    }
    tokio::select! {
        () = serve::serve(socket, state.clone()) => {}
        () = serve::expire(&state) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    state.close().await;
    Ok(())
}
