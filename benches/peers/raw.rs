//! The yardstick: length-prefixed messages on a bare TCP socket, small ones coalesced, large ones written without copying.

use std::io::IoSlice;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::work::{self, Channel, Receiver};

const WRITE_BUFFER: usize = 128 << 10;
const READ_BUFFER: usize = 256 << 10;
const COPY_BELOW: usize = 16 << 10;

struct Framed {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    start: usize,
    end: usize,
}

impl Framed {
    fn new(stream: TcpStream) -> Result<Framed> {
        stream.set_nodelay(true)?;
        Ok(Framed { stream, out: Vec::with_capacity(WRITE_BUFFER), input: vec![0; READ_BUFFER], start: 0, end: 0 })
    }

    async fn write_large(&mut self, message: &[u8]) -> Result<()> {
        let (mut head, mut body) = (&self.out[..], message);
        while !head.is_empty() {
            let n = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).await?;
            let from_head = n.min(head.len());
            head = &head[from_head..];
            body = &body[n - from_head..];
        }
        self.stream.write_all(body).await?;
        self.out.clear();
        Ok(())
    }

    /// The whole message at the front of what was read, if there is one.
    #[inline]
    fn next(&mut self) -> Option<std::ops::Range<usize>> {
        let header = self.input[self.start..self.end].first_chunk::<4>()?;
        let len = u32::from_le_bytes(*header) as usize;
        let body = self.start + 4;
        if self.end < body + len {
            return None;
        }
        self.start = body + len;
        Some(body..body + len)
    }

    async fn fill(&mut self) -> Result<usize> {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if let Some(header) = self.input[..self.end].first_chunk::<4>() {
            let need = u32::from_le_bytes(*header) as usize + 4;
            if need > self.input.len() {
                self.input.resize(need.next_multiple_of(4096), 0);
            }
        }
        let n = self.stream.read(&mut self.input[self.end..]).await?;
        self.end += n;
        Ok(n)
    }
}

impl Channel for Framed {
    #[inline]
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.out.extend_from_slice(&(message.len() as u32).to_le_bytes());
        if message.len() >= COPY_BELOW {
            return self.write_large(message).await;
        }
        self.out.extend_from_slice(message);
        if self.out.len() + message.len() + 4 > WRITE_BUFFER {
            self.flush().await?;
        }
        Ok(())
    }

    async fn send_run(&mut self, message: &mut [u8], n: u64, number: impl Fn(&mut [u8], u64)) -> Result<()> {
        for i in 0..n {
            number(message, i);
            self.send(message).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let mut any = false;
            while let Some(range) = self.next() {
                take(&self.input[range]);
                any = true;
            }
            if any {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err("closed".into());
            }
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(crate) fn serve() -> Result<()> {
    work::die_with_parent();
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                if let Ok(mut channel) = Framed::new(stream) {
                    // The sender's end ends the work.
                    let _ = echo(&mut channel).await;
                }
            });
        }
    })
}

async fn echo(channel: &mut Framed) -> Result<()> {
    let mut receiver = Receiver::default();
    loop {
        channel.receive(|message| receiver.take(message)).await?;
        if let Some(damage) = receiver.damaged.take() {
            return Err(damage.into());
        }
        for reply in receiver.replies.drain(..) {
            channel.send(&reply).await?;
        }
        channel.flush().await?;
    }
}

pub(crate) fn drive(mode: &str, size: usize, secs: f64, peer: &str) -> Result<()> {
    runtime()?.block_on(async {
        match mode {
            "throughput" => {
                let mut channel = Framed::new(TcpStream::connect(peer).await?)?;
                println!("{}", work::throughput(&mut channel, size, secs).await?);
            }
            "rtt" => {
                let mut channel = Framed::new(TcpStream::connect(peer).await?)?;
                let (p50, p99) = work::round_trips(&mut channel, secs).await?;
                println!("{p50} {p99}");
            }
            "connect" => {
                let start = Instant::now();
                let mut n = 0u32;
                while start.elapsed().as_secs_f64() < secs {
                    work::one_echo(&mut Framed::new(TcpStream::connect(peer).await?)?).await?;
                    n += 1;
                }
                println!("{}", f64::from(n) / start.elapsed().as_secs_f64());
            }
            other => return Err(format!("unknown mode {other}").into()),
        }
        Ok(())
    })
}
