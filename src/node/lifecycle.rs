//! Starting and stopping a node: what runs, in which order it comes up and goes down. Knows nothing of messages and records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::base::config::KeyAgreement;
use crate::base::{CloseReason, Error, Event, Level, LogId, Result, limits};
use crate::crypto::kex;
use crate::driver::beacon::Beacon;
use crate::driver::bootstrap::Bootstrap;
use crate::driver::runtime::{self, OwnRuntime};
use crate::driver::workers::{NodeWal, Workers};
use crate::driver::{Shell, listen};
use crate::mesh::io::Input;
use crate::mesh::{Mesh, MeshSettings};
use crate::sync::LogState;

use super::applying::{note, standing};
use super::{Node, State};

impl Node {
    /// Starts listening and dialling. On a tokio runtime the node's tasks run there; elsewhere on a thread of its own. A second call
    /// while running does nothing; one during a stop is refused.
    pub fn start(&self) -> Result<()> {
        if self.inner.config.key_agreement != KeyAgreement::Classic {
            kex::prepare();
        }
        self.finish_install()?;
        let begun = {
            let told = self.ask_cursor_again()?;
            self.start_locked(&mut self.inner.state.lock(), &told)?
        };
        if let Some(shell) = begun {
            // Keys may have been settled since the mesh was made.
            shell.step(Input::Trust { table: self.inner.keeper.table() });
            shell.step(Input::Tick);
            self.inner.archive.announce(&shell);
            for (to, way) in self.inner.routes.lock().clone() {
                shell.step(Input::RouteTo { to, way: Some(way) });
            }
            self.redial(&shell);
            self.warn_of_hasty_heartbeat(&shell);
        }
        Ok(())
    }

    /// The heartbeats of the other side do not matter: whoever would be out of patience asks by itself, and gets an answer. The own ones do.
    fn warn_of_hasty_heartbeat(&self, shell: &Shell) {
        let (interval, stale) = (self.inner.config.heartbeat_interval, self.inner.config.stale_after);
        if stale < 2 * interval {
            let left = (stale - interval).as_millis();
            shell.write_log(Level::Warn, || {
                format!("a silent peer is asked once and has {left} ms to answer before its link is closed; have stale_after be twice heartbeat_interval")
            });
        }
    }

    fn start_locked(&self, state: &mut State, told: &BTreeMap<LogId, Option<u64>>) -> Result<Option<Arc<Shell>>> {
        if state.ending.is_some() || (state.workers.is_some() && self.inner.shell.read().is_none()) {
            return Err(Error::Invalid("the node is stopping; start it again when stop has returned".into()));
        }
        if state.workers.is_some() {
            return Ok(None);
        }
        if let Some(failed) = &state.failed {
            return Err(Error::Failed(failed.clone()));
        }
        self.take_handler_back(state)?;
        let (own_runtime, handle) = match Handle::try_current() {
            Ok(handle) => (None, handle),
            Err(_) => OwnRuntime::start(state.on_thread_start).map(|(own, handle)| (Some(own), handle))?,
        };
        let inside = handle.enter();
        let (listeners, port) = listen::bind_all(&self.inner.config)?;
        drop(inside);
        let Some(wal) = &mut state.wal else {
            return Err(Error::Failed("an earlier start failed and the log is gone; open the node anew".into()));
        };
        note(wal, told)?;
        let logs = standing(wal.states(), told);
        let asked = logs.iter().map(|state| state.log).collect();
        let shell = self.make_shell(wal, logs, handle.clone(), port)?;
        shell.apply.ask(state.cursor.clone(), asked);
        shell.outbox.prepare(&self.inner.formerly, state.on_thread_start);
        let beacon = Beacon::prepare(&self.inner.config, self.announced(port), shell.now())?;
        if state.apply_in_ring {
            shell.apply.use_ring();
        }
        let Some(wal) = state.wal.take() else { return Ok(None) };
        let disk = (wal, self.inner.config.durability, self.inner.lock.clone());
        let mut workers = Workers::begin(shell.clone(), own_runtime, disk, state.handler.take(), state.on_thread_start)?;
        self.inner.ring.reopen();
        state.found.drain(..).for_each(|event| shell.note(event));
        shell.note(Event::Started { port });
        *self.inner.shell.write() = Some(shell.clone());
        workers.go(&handle, listeners, self.bootstrap(port));
        if let Some(beacon) = beacon {
            workers.look_around(beacon, state.on_thread_start);
        }
        (state.workers, state.port, state.named) = (Some(workers), port, None);
        Ok(Some(shell))
    }

    /// Dials whom an earlier run reached.
    fn redial(&self, shell: &Arc<Shell>) {
        if let Some(book) = self.inner.book.as_ref().filter(|_| self.inner.config.dial) {
            for endpoint in book.endpoints() {
                // Wanted like what a person named: it may be away for long.
                shell.step(Input::Connect { endpoint, manual: true, expected: None });
            }
        }
    }

    /// After a stop from within the handler: takes it from the thread it was on.
    fn take_handler_back(&self, state: &mut State) -> Result<()> {
        let Some(thread) = state.lingering.take() else { return Ok(()) };
        if thread.thread().id() == std::thread::current().id() {
            state.lingering = Some(thread);
            return Err(Error::Invalid("the apply handler stopped the node; start it again from elsewhere".into()));
        }
        let handler = thread.join().ok().flatten();
        state.handler = state.handler.take().or(handler);
        Ok(())
    }

    /// The port that others are told.
    fn announced(&self, port: u16) -> u16 {
        self.inner.config.announce_port.unwrap_or(port)
    }

    fn bootstrap(&self, port: u16) -> Option<Bootstrap> {
        let config = &self.inner.config;
        let registry = config.bootstrap.clone()?;
        Some(Bootstrap { config: registry, node_id: config.node_id.clone(), port: self.announced(port), dial: config.dial })
    }

    fn make_shell(&self, wal: &NodeWal, logs: Vec<LogState>, handle: Handle, port: u16) -> Result<Arc<Shell>> {
        let inner = &self.inner;
        let seed = getrandom::u64().map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))?;
        let mut settings = MeshSettings { trust: inner.keeper.table(), ..MeshSettings::from_config(&inner.config, self.id()) };
        settings.half_open_max = listen::half_open_max();
        settings.port = port;
        let mesh = Mesh::resume(settings, logs, wal.own(), seed);
        let party = (inner.party.clone(), inner.keeper.clone(), inner.book.clone());
        let shell = Shell::new(mesh, party, inner.ring.clone(), inner.outlet.clone(), handle);
        let _ = shell.snapshots.set(inner.archive.clone());
        Ok(shell)
    }

    /// Whether the node runs.
    pub fn is_running(&self) -> bool {
        self.inner.shell.read().is_some()
    }

    /// The TCP port the node listens on, the first of several; 0 if it listens on none.
    pub fn port(&self) -> u16 {
        self.inner.state.lock().port
    }

    /// Says goodbye to every peer, lets the application finish the record it applies and the log what waits, and ends. When it
    /// resolves, whoever called it, nothing of the node runs any more and it can be started again. For async code; goes on if the
    /// future is dropped.
    pub async fn stop(&self) {
        let node = self.clone();
        let (tell, told) = oneshot::channel();
        let on_start = self.inner.state.lock().on_thread_start;
        // On a thread, because the end of other threads is waited for.
        let work = move || {
            node.stop_blocking();
            drop(node);
            let _ = tell.send(());
        };
        match runtime::spawn("vixp2p-stop", on_start, work) {
            Ok(_) => drop(told.await),
            Err(_) => self.stop_blocking(),
        }
    }

    /// [`Node::stop`] for threads without a runtime. Never call it from the apply handler, a log sink or the runtime's own thread: it
    /// waits for them.
    pub fn stop_blocking(&self) {
        self.stop_within(2 * limits::STOP_GRACE);
    }

    /// [`Node::stop_blocking`] that waits so long for tasks to end by themselves.
    pub(crate) fn stop_within(&self, grace: Duration) {
        if let Some(shell) = self.begin_stop() {
            shell.wait_drained(grace);
        }
        self.finish_stop();
    }

    fn begin_stop(&self) -> Option<Arc<Shell>> {
        let shell = {
            let state = self.inner.state.lock();
            *self.inner.shell.write() = None;
            let workers = state.workers.as_ref()?;
            workers.stop_tasks();
            workers.shell.clone()
        };
        if let Err(e) = self.inner.archive.replicas.write(&shell) {
            shell.note(Event::LogFailed { detail: e.to_string() });
        }
        shell.close_all(&CloseReason::Shutdown);
        Some(shell)
    }

    fn finish_stop(&self) {
        let mut state = self.inner.state.lock();
        let Some(workers) = state.workers.take() else {
            // Somebody else stops the node: this call ends when that one does.
            while state.ending.is_some_and(|apply| apply != std::thread::current().id()) {
                self.inner.ended.wait(&mut state);
            }
            return;
        };
        state.ending = Some(workers.apply_thread());
        drop(state);
        let shell = workers.shell.clone();
        let ended = workers.end();
        // What it refers to is the application's, and the shell may outlive the node.
        shell.apply.ask(None, BTreeSet::new());
        if let Some(Err(e)) = self.inner.book.as_ref().map(|book| book.write()) {
            shell.note(Event::AddressBookFaulty { detail: e.to_string() });
        }
        // All at once: who takes the event may start the node again.
        let mut state = self.inner.state.lock();
        shell.note(Event::Stopped);
        self.inner.ring.close();
        (state.wal, state.lingering) = (ended.wal, ended.lingering);
        // One that was set meanwhile is the newer one.
        state.handler = state.handler.take().or(ended.handler);
        state.failed = shell.failure().map(str::to_owned);
        (state.port, state.ending) = (0, None);
        drop(state);
        self.inner.ended.notify_all();
        shell.flush_log();
    }
}
