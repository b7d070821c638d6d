//! The threads and tasks of a running node: begun together, ended together. A panic in one of them is the node's failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};

use tokio::task::AbortHandle;

use crate::base::config::Durability;
use crate::base::{Error, Level, Result};
use crate::driver::apply::{self, Handler};
use crate::driver::beacon::{Beacon, Ending};
use crate::driver::bootstrap::{self, Bootstrap};
use crate::driver::disk::DirectoryLock;
use crate::driver::listen::{self, Listening};
use crate::driver::postal;
use crate::driver::runtime::{self, OwnRuntime, ThreadStart};
use crate::driver::transport::Listener;
use crate::driver::{Shell, log, panic_text, snapshots};
use crate::sync::{Storage, Wal};

/// The log of a node, wherever it keeps it.
pub(crate) type NodeWal = Wal<Box<dyn Storage>>;

/// Everything that runs for a started node. Dropping it lets the threads go on; see [`Workers::end`] and [`Workers::let_go`].
pub(crate) struct Workers {
    pub(crate) shell: Arc<Shell>,
    tasks: Vec<AbortHandle>,
    log: JoinHandle<Option<NodeWal>>,
    apply: JoinHandle<Option<Handler>>,
    beacon: Option<(JoinHandle<()>, Arc<Ending>)>,
    own_runtime: Option<OwnRuntime>,
}

/// What a node has again after its workers have ended.
pub(crate) struct Ended {
    /// `None` if the log's thread failed.
    pub(crate) wal: Option<NodeWal>,
    /// `None` if there is none, or its thread failed.
    pub(crate) handler: Option<Handler>,
    /// The apply thread, if it is the one that ends the workers: it gives the handler back when it is left.
    pub(crate) lingering: Option<JoinHandle<Option<Handler>>>,
}

impl Workers {
    /// Starts the threads. They have nothing to do before the first step. The directory stays locked until both have ended, whatever
    /// becomes of the node.
    pub(crate) fn begin(
        shell: Arc<Shell>,
        own_runtime: Option<OwnRuntime>,
        (wal, durability, lock): (NodeWal, Durability, Option<Arc<DirectoryLock>>),
        handler: Option<Handler>,
        on_start: Option<ThreadStart>,
    ) -> Result<Workers> {
        let (theirs, too) = (shell.clone(), lock.clone());
        let log = runtime::spawn("vixp2p-log", on_start, move || {
            let _lock = lock;
            guarded(&theirs, "the log's thread", || log::run(&theirs, wal, durability, on_start)).flatten()
        })?;
        let theirs = shell.clone();
        let work = move || {
            let _lock = too;
            guarded(&theirs, "the apply handler", || apply::run(&theirs, handler)).flatten()
        };
        match runtime::spawn("vixp2p-apply", on_start, work) {
            Ok(apply) => Ok(Workers { shell, tasks: Vec::new(), log, apply, beacon: None, own_runtime }),
            Err(e) => {
                shell.log.stop();
                Err(e)
            }
        }
    }

    /// Starts the tasks: timer, sealing and opening, for each listener an accept loop, with a registry its client.
    pub(crate) fn go(&mut self, handle: &tokio::runtime::Handle, listeners: Vec<Listener>, bootstrap: Option<Bootstrap>) {
        let shell = &self.shell;
        self.tasks.push(handle.spawn(shell.clone().run_timer(shell.present())).abort_handle());
        self.tasks.push(handle.spawn(snapshots::cut::run(shell.clone(), shell.present())).abort_handle());
        for jobs in shell.postal.take().into_iter().flatten() {
            self.tasks.push(handle.spawn(postal::run(shell.clone(), jobs, shell.present())).abort_handle());
        }
        for listener in listeners {
            let listening = Listening { listener, _present: shell.present() };
            self.tasks.push(handle.spawn(listen::accept(shell.clone(), listening)).abort_handle());
        }
        if let Some(bootstrap) = bootstrap {
            self.tasks.push(handle.spawn(bootstrap::run(shell.clone(), bootstrap, shell.present())).abort_handle());
        }
    }

    /// Starts the thread of discovery.
    pub(crate) fn look_around(&mut self, beacon: Beacon, on_start: Option<ThreadStart>) {
        let (shell, ending) = (self.shell.clone(), beacon.ending());
        let _ = self.shell.discovery.set(beacon.machine());
        let work = move || {
            guarded(&shell, "discovery", || beacon.run(&shell));
        };
        match runtime::spawn("vixp2p-beacon", on_start, work) {
            Ok(thread) => self.beacon = Some((thread, ending)),
            // A node that finds nobody still works.
            Err(e) => self.shell.write_log(Level::Error, || format!("discovery is off: {e}")),
        }
    }

    /// Ends the tasks that begin something new.
    pub(crate) fn stop_tasks(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        if let Some((_, ending)) = &self.beacon {
            ending.end();
        }
    }

    /// The thread the application's handler runs on.
    pub(crate) fn apply_thread(&self) -> ThreadId {
        self.apply.thread().id()
    }

    /// Lets the application finish the record it is at and the log what waits for it, and waits for both. No lock of the node may
    /// be held: the handler may be calling the node.
    pub(crate) fn end(self) -> Ended {
        let Workers { shell, tasks: _, log, apply, beacon, own_runtime } = self;
        if let Some((thread, ending)) = beacon {
            ending.end();
            // A panic there has been reported by its own event.
            let _ = thread.join();
        }
        shell.apply.stop();
        let (mut handler, mut lingering) = (None, None);
        if apply.thread().id() == std::thread::current().id() {
            lingering = Some(apply);
        } else {
            handler = apply.join().ok().flatten();
        }
        shell.log.stop();
        shell.outbox.end();
        let wal = log.join().ok().flatten();
        drop(own_runtime);
        Ended { wal, handler, lingering }
    }

    /// Has everything end by itself, without waiting.
    pub(crate) fn let_go(self) {
        self.stop_tasks();
        self.shell.apply.stop();
        self.shell.log.stop();
    }
}

/// Runs a thread's work; a panic becomes the node's failure.
pub(crate) fn guarded<T>(shell: &Shell, who: &str, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| shell.fail(format!("{who} panicked: {}", panic_text(panic.as_ref())))).ok()
}

impl From<&Shell> for Error {
    fn from(shell: &Shell) -> Error {
        shell.failure().map_or(Error::Stopped, |detail| Error::Failed(detail.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::base::{Config, Event, Incarnation};
    use crate::crypto::{Identity, Secret};
    use crate::driver::ring::Item;
    use crate::mesh::{Mesh, MeshSettings};
    use crate::session::LocalParty;
    use crate::sync::{AskingStorage, MemStorage};

    fn begin() -> (Workers, tokio::runtime::Runtime) {
        let identity = Arc::new(Identity::from_seed(&Secret::new([7; 32])));
        let config = Config::new("n");
        let party = LocalParty::new(identity.clone(), "n", &config.capabilities, None).expect("small");
        let disk: Box<dyn Storage> = Box::new(AskingStorage(MemStorage::new(), |path: &str| {
            assert!(!path.ends_with(".wal"), "the disk's driver is broken");
            Ok(())
        }));
        let (wal, _) = Wal::open(disk, identity.clone(), Incarnation(1)).expect("empty disk");
        let mesh = Mesh::new(MeshSettings::from_config(&config, identity.id()), Vec::new(), wal.own(), 1);
        let (keeper, _) = crate::driver::known::Keeper::open(None, config.trust_policy()).expect("no file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let shell = Shell::new(mesh, (Arc::new(party), Arc::new(keeper), None), Arc::default(), Arc::default(), runtime.handle().clone());
        let workers = Workers::begin(shell, None, (wal, Durability::Durable, None), None, None).expect("threads");
        (workers, runtime)
    }

    #[test]
    fn a_panic_in_the_logs_thread_fails_the_node_and_leaves_nobody_waiting() {
        let (workers, _runtime) = begin();
        let shell = workers.shell.clone();
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let shell = shell.clone();
                std::thread::spawn(move || shell.log.append_blocking(&shell, vec![Bytes::from_static(b"x")]).is_err())
            })
            .collect();
        assert!(callers.into_iter().all(|caller| caller.join().expect("returns")));
        let fatal = shell.ring.pop_blocking(Duration::from_secs(30));
        assert!(matches!(fatal, Some(Item::Event(Event::Fatal { detail })) if detail.contains("driver is broken")));
        assert!(matches!(Error::from(&*shell), Error::Failed(_)));
        assert!(shell.log.append_blocking(&shell, vec![Bytes::from_static(b"x")]).is_err());
        assert!(
            shell.log.read_blocking(crate::base::LogId { origin: shell.party.identity.id(), incarnation: Incarnation(1) }, 1, 1).is_empty()
        );
        assert!(workers.end().wal.is_none());
    }
}
