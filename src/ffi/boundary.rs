//! What every exported function shares: the guard, the last error, and the checks of pointers. Never knows what a call is for.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::Error;
use crate::ffi::panics;
use crate::ffi::status::{
    VIXP2P_ERR_DIR_IN_USE, VIXP2P_ERR_FAILED, VIXP2P_ERR_INVALID, VIXP2P_ERR_IO, VIXP2P_ERR_KEY, VIXP2P_ERR_LOG, VIXP2P_ERR_NOT_CONNECTED,
    VIXP2P_ERR_PANIC, VIXP2P_ERR_PORT_IN_USE, VIXP2P_ERR_STOPPED, VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_TRUNCATED, VIXP2P_ERR_UTF8,
    VIXP2P_ERR_WOULD_BLOCK, VIXP2P_OK, vixp2p_status,
};

/// Why a call fails: a status and a sentence that begins with the argument at fault.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: vixp2p_status,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(status: vixp2p_status, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into() }
    }

    pub(super) fn invalid(text: impl Into<String>) -> Failure {
        Failure::new(VIXP2P_ERR_INVALID, text)
    }

    pub(super) fn null(what: &str) -> Failure {
        Failure::invalid(format!("{what} is NULL"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::Invalid(_) => VIXP2P_ERR_INVALID,
            Error::Io { .. } => VIXP2P_ERR_IO,
            Error::PortInUse { .. } => VIXP2P_ERR_PORT_IN_USE,
            Error::Key { .. } => VIXP2P_ERR_KEY,
            Error::DirectoryInUse { .. } => VIXP2P_ERR_DIR_IN_USE,
            Error::Log(_) => VIXP2P_ERR_LOG,
            Error::Stopped => VIXP2P_ERR_STOPPED,
            Error::NotConnected(_) => VIXP2P_ERR_NOT_CONNECTED,
            Error::WouldBlock => VIXP2P_ERR_WOULD_BLOCK,
            Error::TooLarge { .. } => VIXP2P_ERR_TOO_LARGE,
            Error::Truncated { .. } => VIXP2P_ERR_TRUNCATED,
            Error::Failed(_) => VIXP2P_ERR_FAILED,
        };
        Failure::new(status, error.to_string())
    }
}

pub(super) type Answer<T = vixp2p_status> = Result<T, Failure>;

/// Runs the body of an exported function: a failure becomes the last error, a panic a status.
pub(super) fn guard(function: &str, body: impl FnOnce() -> Answer) -> vixp2p_status {
    let failure = match catch(body) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::new(VIXP2P_ERR_PANIC, panic),
    };
    remember(function, &failure);
    failure.status
}

/// The same for a function that does not return a status.
pub(super) fn guard_or<T>(function: &str, otherwise: T, body: impl FnOnce() -> Answer<T>) -> T {
    let failure = match catch(body) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::new(VIXP2P_ERR_PANIC, panic),
    };
    remember(function, &failure);
    otherwise
}

/// Runs `body` with panics caught and kept off the host's standard error; the message of a panic, with its place.
pub(super) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    panics::install_hook();
    let inside = panics::Inside::enter();
    let result = catch_unwind(AssertUnwindSafe(body));
    result.map_err(|_payload| inside.message())
}

struct LastError {
    status: vixp2p_status,
    text: CString,
}

thread_local! {
    static LAST_ERROR: RefCell<Option<LastError>> = const { RefCell::new(None) };
}

fn remember(function: &str, failure: &Failure) {
    let error = LastError { status: failure.status, text: c_text(&format!("{function}: {}", failure.text)) };
    // A thread that is ending may have lost the place already; then nobody can ask any more.
    let _ = LAST_ERROR.try_with(|last| last.replace(Some(error)));
}

pub(super) fn last_error_message() -> *const c_char {
    let read = |last: &RefCell<Option<LastError>>| last.borrow().as_ref().map_or(std::ptr::null(), |error| error.text.as_ptr());
    LAST_ERROR.try_with(read).unwrap_or(std::ptr::null())
}

pub(super) fn last_error_code() -> vixp2p_status {
    LAST_ERROR.try_with(|last| last.borrow().as_ref().map_or(VIXP2P_OK, |error| error.status)).unwrap_or(VIXP2P_OK)
}

/// `text` for C; a zero inside (names come from the network) becomes U+FFFD.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text).or_else(|_| CString::new(text.replace('\0', "\u{fffd}"))).unwrap_or_default()
}

/// A zero-terminated UTF-8 string; `None` for NULL.
///
/// # Safety
/// `text` is NULL or points to a zero-terminated string that outlives `'a` unchanged.
pub(super) unsafe fn read_str<'a>(text: *const c_char, what: &str) -> Answer<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|e| Failure::new(VIXP2P_ERR_UTF8, format!("{what} is not UTF-8 after byte {}", e.valid_up_to())))
}

/// `len` bytes at `data`.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that outlive `'a` unchanged.
pub(super) unsafe fn read_bytes<'a>(data: *const std::ffi::c_void, len: usize, what: &str) -> Answer<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::invalid(format!("{what} is NULL but its length is {len}")));
    }
    if isize::try_from(len).is_err() {
        return Err(Failure::invalid(format!("{what} has a length of {len} bytes, more than memory can hold")));
    }
    // SAFETY: not NULL, not longer than an object can be, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// A copy of what `value` points to.
///
/// # Safety
/// `value` is NULL or points to a readable `T`, aligned or not, any bytes of which are valid.
pub(super) unsafe fn read_ref<T: Copy>(value: *const T, what: &str) -> Answer<T> {
    if value.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { value.read_unaligned() })
}

/// Writes a result.
///
/// # Safety
/// `out` is NULL or points to memory for a `T`, aligned or not.
pub(super) unsafe fn write_out<T: Copy>(out: *mut T, value: T, what: &str) -> Answer<()> {
    if out.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Writes a result that the caller may not want.
///
/// # Safety
/// As [`write_out`].
pub(super) unsafe fn write_optional<T: Copy>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { out.write_unaligned(value) };
    }
}

/// Writes the first bytes of a struct that may be shorter or longer on the caller's side; what is longer there becomes zero.
///
/// # Safety
/// `out` is NULL or points to `out_size` writable bytes. `T` is `repr(C)` without padding.
pub(super) unsafe fn write_sized<T: Copy>(out: *mut u8, out_size: usize, value: &T) {
    let ours = size_of::<T>();
    // SAFETY: at most out_size bytes are written there and at most sizeof(T) are read here.
    unsafe {
        out.copy_from_nonoverlapping(std::ptr::from_ref(value).cast(), ours.min(out_size));
        if out_size > ours {
            out.add(ours).write_bytes(0, out_size - ours);
        }
    }
}
