//! Where the tasks run: on the caller's tokio runtime if there is one, else on a thread of the node's own.

use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::base::{Error, Result};

/// Stack of a thread of the node; given, because std would look for a default in the environment.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Called first on every thread of the node; the C layer blocks signals there.
pub type ThreadStart = fn();

/// A tokio runtime on a thread of its own, ended by dropping the value.
#[derive(Debug)]
pub(crate) struct OwnRuntime {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnRuntime {
    /// Starts the thread "vixp2p-io".
    pub(crate) fn start(on_start: Option<ThreadStart>) -> Result<(OwnRuntime, Handle)> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("vixp2p-dns")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || {
                if let Some(on_start) = on_start {
                    on_start();
                }
            })
            .build()
            .map_err(Error::io("starting the I/O thread"))?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = spawn("vixp2p-io", on_start, move || {
            // Either a message or the sender's end: both mean stop.
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        Ok((OwnRuntime { end: Some(end), thread: Some(thread) }, handle))
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic there has been reported by its own event.
            let _ = thread.join();
        }
    }
}

/// Starts a named thread of the node.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    on_start: Option<ThreadStart>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let run = move || {
        if let Some(on_start) = on_start {
            on_start();
        }
        work()
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map_err(Error::io(format!("starting thread {name}")))
}
