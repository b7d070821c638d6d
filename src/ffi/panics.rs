//! Panics of this library's threads and calls: kept off the host's standard error, remembered, and told to the nodes' logs.
//!
//! Never swallows a panic of anybody else's thread: that goes to the hook that was there before.

use std::cell::{Cell, RefCell};
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::Level;
use crate::ffi::callbacks::inside_callback;
use crate::ffi::handle;

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Marks that this thread runs one of our calls.
pub(super) struct Inside;

impl Inside {
    pub(super) fn enter() -> Inside {
        INSIDE.with(|depth| depth.set(depth.get() + 1));
        Inside
    }

    /// What the panic that was just caught said.
    pub(super) fn message(&self) -> String {
        MESSAGE.try_with(RefCell::take).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "internal error".into())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Installs the hook at the first call across the border.
pub(super) fn install_hook() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.load(Ordering::Relaxed) || INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let before = take_hook();
    set_hook(Box::new(move |info| {
        if !is_ours() {
            return before(info);
        }
        let text = describe(info);
        handle::tell_every_log(Level::Critical, &text);
        let _ = MESSAGE.try_with(|message| message.replace(text));
    }));
}

/// A panic of the application's own Rust code inside a callback is its own.
fn is_ours() -> bool {
    let here = INSIDE.with(Cell::get) > 0 || std::thread::current().name().is_some_and(|name| name.starts_with("vixp2p-"));
    here && !inside_callback()
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("internal error: {}{place}", message.unwrap_or("no message"))
}
