//! libp2p's TCP, Noise XX and Yamux as its transport builder puts them together, without a swarm, which would only add to it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p_core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt};
use libp2p_core::transport::{Boxed, DialOpts, ListenerId, PortUse, Transport, TransportEvent};
use libp2p_core::{Endpoint, upgrade::Version};
use libp2p_identity::{Keypair, PeerId};

use crate::{Contender, MESSAGE, Result, Side};

pub(crate) struct Libp2p {
    transport: Boxed<(PeerId, StreamMuxerBox)>,
    /// Who has to be at the other end.
    peer: PeerId,
}

impl Libp2p {
    pub(crate) fn new(side: Side) -> Result<Libp2p> {
        let key = Keypair::ed25519_from_bytes(side.seed())?;
        let transport = libp2p_tcp::tokio::Transport::new(libp2p_tcp::Config::default())
            .upgrade(Version::V1Lazy)
            .authenticate(libp2p_noise::Config::new(&key)?)
            .multiplex(libp2p_yamux::Config::default())
            .boxed();
        Ok(Libp2p { transport, peer: Keypair::ed25519_from_bytes(side.other().seed())?.public().to_peer_id() })
    }
}

/// Runs `work` on the streams of a connection, which gets on only while it is polled itself.
async fn while_driving<T>(muxer: &mut StreamMuxerBox, work: impl Future<Output = std::io::Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done.map_err(Into::into));
            }
            // Moved on: what it moved may be what the work waits for.
            let Poll::Ready(moved) = muxer.poll_unpin(cx) else { return Poll::Pending };
            if let Err(error) = moved {
                return Poll::Ready(Err(error.into()));
            }
        }
    })
    .await
}

async fn answer(mut muxer: StreamMuxerBox) -> Result<()> {
    let mut stream = poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await?;
    let echo = async {
        let mut message = MESSAGE;
        // The driver's goodbye ends the work.
        while stream.read_exact(&mut message).await.is_ok() {
            stream.write_all(&message).await?;
            stream.flush().await?;
        }
        Ok(())
    };
    while_driving(&mut muxer, echo).await
}

impl Contender for Libp2p {
    async fn serve(mut self) -> Result<()> {
        self.transport.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse()?)?;
        loop {
            match poll_fn(|cx| Pin::new(&mut self.transport).poll(cx)).await {
                TransportEvent::NewAddress { listen_addr, .. } => println!("{listen_addr}"),
                TransportEvent::Incoming { upgrade, .. } => {
                    let expected = self.peer;
                    tokio::spawn(async move {
                        if let Ok((peer, muxer)) = upgrade.await
                            && peer == expected
                        {
                            // The driver's goodbye ends the work.
                            let _ = answer(muxer).await;
                        }
                    });
                }
                other => return Err(format!("the listener: {other:?}").into()),
            }
        }
    }

    async fn once(&mut self, address: &str) -> Result<()> {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (peer, mut muxer) = self.transport.dial(address.parse()?, options)?.await?;
        if peer != self.peer {
            return Err(format!("{peer} answered").into());
        }
        let mut stream = poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await?;
        let mut back = [0; MESSAGE.len()];
        let there_and_back = async {
            stream.write_all(&MESSAGE).await?;
            stream.flush().await?;
            stream.read_exact(&mut back).await
        };
        while_driving(&mut muxer, there_and_back).await?;
        poll_fn(|cx| Pin::new(&mut muxer).poll_close(cx)).await?;
        if back == MESSAGE { Ok(()) } else { Err("another message came back".into()) }
    }
}
