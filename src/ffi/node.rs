//! A node's life: create, start, stop, destroy. Never waits for a callback while inside one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::{Config, Error, Level, limits};
use crate::ffi::apply;
use crate::ffi::boundary::{Answer, Failure, catch, guard, guard_or, write_out};
use crate::ffi::callbacks::{Callbacks, Slot, inside_callback, refuse_inside_callback};
use crate::ffi::delivery::Desk;
use crate::ffi::handle::{self, Inner, on_node};
use crate::ffi::options::vixp2p_node_options;
use crate::ffi::status::{VIXP2P_ALREADY, VIXP2P_ERR_BAD_HANDLE, VIXP2P_ERR_UNSUPPORTED, VIXP2P_OK, vixp2p_status};
use crate::ffi::sys::{self, Beacon, SignalsBlocked};
use crate::ffi::types::{vixp2p_node, vixp2p_peer_id};
use crate::node::Node;

/// Stack of a thread that runs the application's code; given, because std would look for a default in the environment.
const STACK_BYTES: usize = 2 * 1024 * 1024;
/// How long a stop waits for goodbyes unless told otherwise.
const STOP_GRACE: Duration = limits::STOP_GRACE.saturating_mul(2);

/// Creates a node: takes the data directory, reads or makes the identity, opens the log. Opens no socket and calls nothing back.
///
/// The library owns the userdata of every callback in options from this call on: if it fails, their drop functions have run
/// (unless struct_size was too small to hold them).
///
/// @param options  the settings; NULL for the defaults. Copied: nothing it points to is used after the call but userdata.
/// @param out      where the node goes; NULL there on failure.
/// @return VIXP2P_OK; VIXP2P_ERR_INVALID, VIXP2P_ERR_UTF8, VIXP2P_ERR_UNSUPPORTED for an unusable setting;
///         VIXP2P_ERR_DIR_IN_USE, VIXP2P_ERR_KEY, VIXP2P_ERR_LOG, VIXP2P_ERR_IO for the data directory; VIXP2P_ERR_FORKED in
///         the child of a process that had nodes when it was forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_create(options: *const vixp2p_node_options, out: *mut *mut vixp2p_node) -> vixp2p_status {
    guard("vixp2p_node_create", || {
        // SAFETY: the caller promises that out, if not NULL, can be written.
        let place = unsafe { write_out(out, std::ptr::null_mut(), "out") };
        // SAFETY: the caller promises that options is NULL or as long as its first member says.
        let (options, asks_more) = unsafe { vixp2p_node_options::read(options) }?;
        let callbacks = take_callbacks(&options);
        place?;
        handle::refuse_haunted()?;
        if asks_more {
            let text = "options has members set that this library does not know; use a newer library";
            return Err(Failure::new(VIXP2P_ERR_UNSUPPORTED, text));
        }
        // SAFETY: the caller promises that the members point to what the header says.
        let config = unsafe { options.config() }?;
        let inner = create(config, callbacks, options.polled()?, options.level()?)?;
        // SAFETY: out was written before.
        unsafe { write_out(out, handle::insert(inner), "out") }?;
        Ok(VIXP2P_OK)
    })
}

fn take_callbacks(options: &vixp2p_node_options) -> Callbacks {
    let callbacks = Callbacks::default();
    let vixp2p_node_options { log, event, message, apply, snapshot, .. } = options;
    callbacks.snapshot.put(snapshot.take());
    callbacks.log.put(Slot::take(Some((log.r#fn, log.userdata, log.drop))));
    callbacks.event.put(Slot::take(Some((event.r#fn, event.userdata, event.drop))));
    callbacks.message.put(Slot::take(Some((message.r#fn, message.userdata, message.drop))));
    callbacks.apply.put(Slot::take(Some((apply.r#fn, apply.userdata, apply.drop))));
    callbacks
}

fn create(config: Config, callbacks: Callbacks, polled: bool, level: Level) -> Answer<Arc<Inner>> {
    let beacon = if polled { Some(Beacon::new().map_err(Error::io("making the event descriptor"))?) } else { None };
    let desk = Arc::new(Desk::new(beacon));
    let node = Node::open(config)?;
    let lines = desk.clone();
    node.set_log_sink(Level::Off, Some(Box::new(move |level, text| lines.write_line(level, text))));
    let bell = desk.clone();
    node.set_signal(Box::new(move |readable| bell.ring_is(readable)));
    node.set_thread_start(sys::block_signals);
    let inner = Inner::new(node, desk, callbacks, polled, level);
    inner.renew_log_level();
    inner.renew_snapshot_handler();
    Ok(inner)
}

/// Starts listening and dialling. Returns at once; VIXP2P_EVENT_STARTED tells the port. A stopped node can be started again.
///
/// @param node  the node.
/// @return VIXP2P_OK; VIXP2P_ALREADY if it runs; VIXP2P_ERR_PORT_IN_USE, VIXP2P_ERR_IO or another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_start(node: *mut vixp2p_node) -> vixp2p_status {
    on_node("vixp2p_node_start", node, |inner| {
        if inner.node.is_running() {
            return Ok(VIXP2P_ALREADY);
        }
        // A record of the run before may still be with the application; the new run must not overtake it.
        let turn = if inside_callback() { None } else { inner.desk.turn(None) };
        if inner.desk.is_closing() {
            return Err(Failure::new(VIXP2P_ERR_BAD_HANDLE, "node is being destroyed"));
        }
        inner.desk.forget_requests();
        let _inherited = SignalsBlocked::new();
        {
            let _setup = inner.setup.lock();
            if inner.callbacks.apply.is_set() {
                inner.node.apply_through_ring();
            }
        }
        inner.desk.set_running(true);
        // In the same turn, since the cursor callback is called too.
        let started = inner.node.start().map_err(Failure::from);
        drop(turn);
        let started = started.and_then(|()| start_calling(inner));
        if let Err(failure) = started {
            inner.desk.set_running(inner.node.is_running());
            return Err(failure);
        }
        Ok(VIXP2P_OK)
    })
}

/// Starts the thread that calls back, if this node wants one and has none.
fn start_calling(inner: &Arc<Inner>) -> Answer<()> {
    let mut thread = inner.thread.lock();
    if inner.polled || thread.is_some() {
        return Ok(());
    }
    let own = inner.clone();
    let builder = std::thread::Builder::new().name("vixp2p-cb".into()).stack_size(STACK_BYTES);
    *thread = Some(builder.spawn(move || apply::run(&own)).map_err(Error::io("starting the callback thread"))?);
    Ok(())
}

/// Lets the callback that runs return, says goodbye to every peer, lets the log finish, and ends; VIXP2P_EVENT_STOPPED is the
/// last event. Blocks meanwhile. Calls that block in other threads end with VIXP2P_ERR_STOPPED.
///
/// @param node        the node.
/// @param timeout_ms  how long goodbyes may take; -1 for the default of two seconds. What the log acknowledged is always kept.
/// @return VIXP2P_OK; VIXP2P_ALREADY if it does not run; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_stop(node: *mut vixp2p_node, timeout_ms: i32) -> vixp2p_status {
    on_node("vixp2p_node_stop", node, |inner| {
        refuse_inside_callback()?;
        if !inner.node.is_running() {
            return Ok(VIXP2P_ALREADY);
        }
        inner.stop(u64::try_from(timeout_ms).map_or(STOP_GRACE, Duration::from_millis));
        Ok(VIXP2P_OK)
    })
}

/// Destroys a node: stops it, waits until running callbacks have returned, lets go of all userdata, frees everything. When it
/// returns, no callback runs or will ever run.
///
/// Legal from anywhere, once. From inside a callback, of this node or another, it returns at once and the same happens on a
/// thread of the library as soon as the callback has returned; the drop functions tell when. Events that were not taken are
/// lost: stop first to see the last ones. In a forked child it does nothing.
///
/// @param node  the node; NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_destroy(node: *mut vixp2p_node) {
    guard_or("vixp2p_node_destroy", (), || {
        if node.is_null() {
            return Ok(());
        }
        let inner = handle::remove(node)?;
        inner.desk.close();
        if !inside_callback() {
            inner.end();
            return Ok(());
        }
        let _inherited = SignalsBlocked::new();
        let builder = std::thread::Builder::new().name("vixp2p-reaper".into()).stack_size(STACK_BYTES);
        // The panic's text has gone to the log; there is nobody left to tell.
        let reap = move || drop(catch(|| inner.end()));
        builder.spawn(reap).map(drop).map_err(|e| Error::io("starting the thread that destroys the node")(e).into())
    });
}

impl Inner {
    fn stop(&self, grace: Duration) {
        // What the running callback has applied is to be in the log before it closes; no other is begun meanwhile.
        self.node.stop_applying();
        let turn = self.desk.turn(None);
        if turn.is_none() {
            self.desk.wait_idle();
        }
        self.node.stop_within(grace);
        self.desk.set_running(self.node.is_running());
    }

    /// The blocking part of destroy.
    fn end(&self) {
        let stopped = catch(|| self.stop(STOP_GRACE));
        let thread = self.thread.lock().take();
        // A panic there has been reported by its own event.
        let _ = thread.map(std::thread::JoinHandle::join);
        self.node.set_cursor(None);
        drop(self.callbacks.clear());
        if stopped.is_err() {
            self.poisoned.store(true, Ordering::Relaxed);
        }
    }
}

/// This node's identity.
///
/// @param node  the node.
/// @param out   where the peer id goes.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_id(node: *const vixp2p_node, out: *mut vixp2p_peer_id) -> vixp2p_status {
    on_node("vixp2p_node_id", node, |inner| {
        // SAFETY: the caller promises that out, if not NULL, can be written.
        unsafe { write_out(out, inner.node.id().into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// The TCP port a running node listens on.
///
/// @param node  the node.
/// @param out   where the port goes; 0 if the node does not run or does not listen.
/// @return VIXP2P_OK or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_port(node: *const vixp2p_node, out: *mut u16) -> vixp2p_status {
    on_node("vixp2p_node_port", node, |inner| {
        // SAFETY: the caller promises that out, if not NULL, can be written.
        unsafe { write_out(out, inner.node.port(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// Fails inside the library on purpose, for tests of what follows.
///
/// @param node  the node; NULL: none is affected.
/// @return VIXP2P_ERR_PANIC.
#[cfg(feature = "test-ffi")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_test_panic(node: *mut vixp2p_node) -> vixp2p_status {
    if node.is_null() {
        return guard("vixp2p_test_panic", || panic!("asked for"));
    }
    on_node("vixp2p_test_panic", node, |_| panic!("asked for"))
}
