//! Which library this is. Never changes at run time.

use std::ffi::c_char;

use crate::ffi::status::VIXP2P_ABI_VERSION;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The library's version as text, such as "0.1.0".
///
/// @return a static string; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// The library's version as a number that can be compared: major << 16 | minor << 8 | patch.
///
/// @return the number; compare it with #VIXP2P_VERSION_NUMBER of the header.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_version_number() -> u32 {
    const fn number(text: &str) -> u32 {
        let (bytes, mut value, mut part, mut i) = (text.as_bytes(), 0, 0, 0);
        while i < bytes.len() {
            if bytes[i] == b'.' {
                (value, part) = (value << 8 | part, 0);
            } else {
                part = part * 10 + (bytes[i] - b'0') as u32;
            }
            i += 1;
        }
        value << 8 | part
    }
    const { number(env!("CARGO_PKG_VERSION")) }
}

/// The library's ABI: the number in its SONAME << 16 | a revision that grows when something is added.
///
/// A program may use a library with the same upper half and a revision that is not smaller; #VIXP2P_CHECK_ABI says so.
///
/// @return the number; compare it with #VIXP2P_ABI_VERSION of the header.
#[unsafe(no_mangle)]
pub extern "C" fn vixp2p_abi_version() -> u32 {
    VIXP2P_ABI_VERSION
}
