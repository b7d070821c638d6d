//! The few system calls std does not offer: eventfd, signal masks, a note about fork. Never installs a handler for a signal.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A descriptor that can be polled: readable while lit.
#[derive(Debug)]
pub(super) struct Beacon(OwnedFd);

impl Beacon {
    pub(super) fn new() -> io::Result<Beacon> {
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Beacon(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes the descriptor readable or not. Never blocks: the counter is 0 or 1.
    pub(super) fn light(&self, on: bool) {
        let mut count = 1u64;
        let count = std::ptr::from_mut(&mut count).cast();
        // SAFETY: eight bytes of a local variable. A failure would mean that the descriptor is in the wanted state already.
        unsafe {
            if on {
                libc::write(self.fd(), count, 8);
            } else {
                libc::read(self.fd(), count, 8);
            }
        }
    }
}

/// Blocks every signal of the calling thread, so that the host's handlers never run on a thread of this library.
pub(super) fn block_signals() {
    std::mem::forget(SignalsBlocked::new());
}

/// While this lives, the calling thread and the threads it starts take no signal.
pub(super) struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    pub(super) fn new() -> SignalsBlocked {
        // SAFETY: both sets are local; sigfillset writes the whole first one before it is used, and an all-zero set is a valid value.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
            SignalsBlocked(before)
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set was written by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// How often this process image was forked since it first used the library: differs between parent and child.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The number that tells this process from the one it was forked from.
pub(super) fn generation() -> u32 {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if !WATCHING.load(Ordering::Relaxed) && !WATCHING.swap(true, Ordering::Relaxed) {
        // SAFETY: the function given lives as long as the process: the library is never unmapped (-z nodelete).
        unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
    }
    FORKS.load(Ordering::Relaxed)
}
