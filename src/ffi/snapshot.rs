//! Snapshots for C: the program's functions that write and read its state, and the calls that make one and let go of records.

use std::ffi::{c_char, c_void};
use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::event::printable;
use crate::base::{SnapshotConfig, limits};
use crate::driver::snapshots::SnapshotHandler;
use crate::ffi::boundary::{Answer, Failure, guard, read_bytes, read_ref, read_str, write_optional, write_out, write_sized};
use crate::ffi::callbacks::{Slot, refuse_inside_callback, vixp2p_drop_fn};
use crate::ffi::handle::{Inner, on_node};
use crate::ffi::options::vixp2p_node_options;
use crate::ffi::peers::{fixed, write_array};
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_ERR_IO, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_node, vixp2p_peer_id};
use crate::node::{Place, SnapshotView};

/// Room for a snapshot's name with its terminating zero.
pub const VIXP2P_SNAPSHOT_ID_SIZE: usize = 65;
/// Room for what a program calls the form of its state, with the terminating zero.
pub const VIXP2P_SNAPSHOT_SCHEMA_SIZE: usize = 65;

/// How long the right to call back is waited for at a time: a stop holds it and waits for this thread.
const TURN_PIECE_MS: i32 = 50;

/// Where a program writes its state; valid during the call of vixp2p_snapshot_write_fn.
pub struct vixp2p_snapshot_writer {
    _opaque: [u8; 0],
}

/// Where a program reads a state; valid during the call of vixp2p_snapshot_read_fn.
pub struct vixp2p_snapshot_reader {
    _opaque: [u8; 0],
}

/// How far a state goes in one log.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_snapshot_place {
    /// Which log.
    pub log: vixp2p_log_id,
    /// The last record of it that has taken effect in the state.
    pub applied: u64,
}

/// A snapshot that lies here.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_snapshot_info {
    /// Bytes of this struct that the library filled.
    pub struct_size: u32,
    /// Logs that it has taken in.
    pub logs: u32,
    /// Who made it.
    pub maker: vixp2p_peer_id,
    /// When, by the maker's clock, in microseconds since 1970.
    pub made_us: u64,
    /// Bytes of the state.
    pub bytes: u64,
    /// Its name, the BLAKE3 hash of its manifest in hex, zero-terminated.
    pub id: [c_char; VIXP2P_SNAPSHOT_ID_SIZE],
    /// What the program that made it calls its form (snapshot_schema), zero-terminated.
    pub schema: [c_char; VIXP2P_SNAPSHOT_SCHEMA_SIZE],
    /// 0.
    pub reserved: [u8; 6],
}

/// Writes the program's whole state with vixp2p_snapshot_write(), as all applied records have left it. own is the last record of this
/// node's own log; *inout_own, which is set to it, is to be the last one whose effect is in the state. Returns 0; anything else gives
/// the snapshot up. Called on a thread of the node under both deliveries, never while another callback of this node runs.
pub type vixp2p_snapshot_write_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, writer: *mut vixp2p_snapshot_writer, inout_own: *mut u64) -> i32>;

/// Reads a state with vixp2p_snapshot_read() and puts it in the place of the program's own, as a whole or not at all. Returns 0; after
/// anything else the old state stands. A program that keeps its own cursors sets them to vixp2p_snapshot_places() in the same
/// transaction. What records of this node's own log behind its place did is not in the state, and is to be done again. Called on a
/// thread of the node as vixp2p_snapshot_write_fn is, and inside vixp2p_node_start() if the process ended in the middle of it.
pub type vixp2p_snapshot_read_fn = Option<unsafe extern "C" fn(userdata: *mut c_void, reader: *mut vixp2p_snapshot_reader) -> i32>;

/// What writes the program's state for others and reads another's; both or none. See vixp2p_log_callback for who owns userdata.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct vixp2p_snapshot_callback {
    /// Writes.
    pub write: vixp2p_snapshot_write_fn,
    /// Reads.
    pub read: vixp2p_snapshot_read_fn,
    /// Given to both.
    pub userdata: *mut c_void,
    /// Lets go of userdata.
    pub drop: vixp2p_drop_fn,
}

pub(super) type SnapshotFns = (
    unsafe extern "C" fn(*mut c_void, *mut vixp2p_snapshot_writer, *mut u64) -> i32,
    unsafe extern "C" fn(*mut c_void, *mut vixp2p_snapshot_reader) -> i32,
);

/// What a writer's pointer points to.
struct Writer<'a> {
    out: &'a mut dyn Write,
    fault: Option<io::Error>,
}

/// What a reader's pointer points to.
struct Reader<'a> {
    input: &'a mut dyn Read,
    places: &'a [Place],
    fault: Option<io::Error>,
}

impl vixp2p_snapshot_callback {
    /// Takes ownership of userdata.
    pub(super) fn take(&self) -> Option<Arc<Slot<SnapshotFns>>> {
        Slot::take(Some((self.write.zip(self.read), self.userdata, self.drop)))
    }
}

/// Replaces the snapshot callback, from anywhere. The old userdata is dropped when no call uses it any more. Without one this node makes
/// no snapshots and takes none. Set it before vixp2p_node_start(): a snapshot may have to be read there.
///
/// @param node      the node.
/// @param callback  the new one, with both functions; NULL for none.
/// @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_node_set_snapshot_callback(
    node: *mut vixp2p_node,
    callback: *const vixp2p_snapshot_callback,
) -> vixp2p_status {
    // SAFETY: the caller promises that callback is NULL or points to one.
    let given = unsafe { read_ref(callback, "callback") }.ok();
    let new = given.and_then(|given| given.take());
    on_node("vixp2p_node_set_snapshot_callback", node, |inner| {
        let setup = inner.setup.lock();
        inner.refuse_beside_values()?;
        if given.is_some_and(|given| given.write.is_some() != given.read.is_some()) {
            return Err(Failure::invalid("callback has one of write and read; give both"));
        }
        let old = inner.callbacks.snapshot.put(new);
        inner.renew_snapshot_handler();
        drop(setup);
        drop(old);
        Ok(VIXP2P_OK)
    })
}

/// Makes a snapshot of the program's state, signed by this node. Blocks until the record that is being applied and the write callback
/// are done. VIXP2P_EVENT_SNAPSHOT_MADE tells.
///
/// @param node  the node, running.
/// @return VIXP2P_OK once it is on disk; VIXP2P_ERR_INVALID without a snapshot callback and vixp2p_values_keep(); VIXP2P_ERR_LOG if the
///         callback or the disk fails; VIXP2P_ERR_STOPPED; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_snapshot_make(node: *mut vixp2p_node) -> vixp2p_status {
    on_node("vixp2p_snapshot_make", node, |inner| {
        refuse_inside_callback()?;
        inner.node.make_snapshot_blocking()?;
        Ok(VIXP2P_OK)
    })
}

/// Lets go of the records that the newest snapshot here holds and that every trusted peer heard of within replica_lease_ms has; past
/// log_max_bytes also of such that some lack (VIXP2P_EVENT_SNAPSHOT_NEEDED). Whole files go; VIXP2P_EVENT_LOG_TRUNCATED tells of each
/// log. Blocks.
///
/// @param node       the node, running.
/// @param out_bytes  where the bytes that went go; may be NULL.
/// @return VIXP2P_OK; VIXP2P_ERR_LOG or VIXP2P_ERR_IO if the disk refuses; VIXP2P_ERR_STOPPED; VIXP2P_ERR_WOULD_DEADLOCK from inside
///         a callback; another error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_log_truncate(node: *mut vixp2p_node, out_bytes: *mut u64) -> vixp2p_status {
    on_node("vixp2p_log_truncate", node, |inner| {
        refuse_inside_callback()?;
        let cut = inner.node.truncate_logs_blocking()?;
        // SAFETY: the caller promises that out_bytes, if not NULL, can be written.
        unsafe { write_optional(out_bytes, cut.bytes) };
        Ok(VIXP2P_OK)
    })
}

/// Snapshots that lie here, the latest first.
///
/// @param node         the node, running or not.
/// @param infos        an array to fill; may be NULL if *inout_count is 0.
/// @param info_size    sizeof(vixp2p_snapshot_info).
/// @param inout_count  places in the array; becomes the number of snapshots, at most 4.
/// @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_snapshot_list(
    node: *const vixp2p_node,
    infos: *mut vixp2p_snapshot_info,
    info_size: usize,
    inout_count: *mut usize,
) -> vixp2p_status {
    on_node("vixp2p_snapshot_list", node, |inner| {
        let list = inner.node.snapshots();
        let struct_size = info_size.min(size_of::<vixp2p_snapshot_info>()) as u32;
        let write = |at: *mut u8, i: usize| {
            // SAFETY: write_array gives a place of info_size bytes.
            unsafe { write_sized(at, info_size, &vixp2p_snapshot_info { struct_size, ..describe(&list[i]) }) };
        };
        // SAFETY: the caller promises *inout_count places of info_size bytes at infos.
        unsafe { write_array(infos.cast(), info_size, inout_count, list.len(), write) }
    })
}

fn describe(view: &SnapshotView) -> vixp2p_snapshot_info {
    vixp2p_snapshot_info {
        struct_size: 0,
        logs: view.logs as u32,
        maker: view.maker.into(),
        made_us: view.made_us,
        bytes: view.bytes,
        id: fixed(&view.id),
        schema: fixed(&printable(&view.schema)),
        reserved: [0; 6],
    }
}

/// Writes the next bytes of the program's state.
///
/// @param writer  as the write callback got it.
/// @param data    the bytes.
/// @param len     how many.
/// @return VIXP2P_OK; VIXP2P_ERR_IO if the disk refuses or the state is too large: the callback then returns, and no snapshot is made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_snapshot_write(writer: *mut vixp2p_snapshot_writer, data: *const c_void, len: usize) -> vixp2p_status {
    guard("vixp2p_snapshot_write", || {
        // SAFETY: the caller promises NULL or the live pointer the callback got, used by one thread at a time.
        let writer = unsafe { writer.cast::<Writer<'_>>().as_mut() }.ok_or_else(|| Failure::null("writer"))?;
        // SAFETY: the caller's promise.
        let bytes = unsafe { read_bytes(data, len, "data") }?;
        if let Err(e) = writer.out.write_all(bytes) {
            let failure = Failure::new(VIXP2P_ERR_IO, e.to_string());
            writer.fault.get_or_insert(e);
            return Err(failure);
        }
        Ok(VIXP2P_OK)
    })
}

/// Reads the next bytes of a state.
///
/// @param reader   as the read callback got it.
/// @param out      where they go.
/// @param size     how many fit, at least 1.
/// @param out_len  how many came: less than size only at the end.
/// @return VIXP2P_OK; VIXP2P_EMPTY at the end, with *out_len 0; VIXP2P_ERR_IO if the disk refuses or its bytes are damaged: the
///         callback then returns anything but 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_snapshot_read(
    reader: *mut vixp2p_snapshot_reader,
    out: *mut c_void,
    size: usize,
    out_len: *mut usize,
) -> vixp2p_status {
    guard("vixp2p_snapshot_read", || {
        // SAFETY: the caller promises that out_len, if not NULL, can be written.
        unsafe { write_out(out_len, 0, "out_len") }?;
        // SAFETY: the caller promises NULL or the live pointer the callback got, used by one thread at a time.
        let reader = unsafe { reader.cast::<Reader<'_>>().as_mut() }.ok_or_else(|| Failure::null("reader"))?;
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        // SAFETY: not NULL, and the caller promises `size` writable bytes; they are made plain bytes before anybody reads them.
        let room = unsafe {
            out.cast::<u8>().write_bytes(0, size);
            std::slice::from_raw_parts_mut(out.cast::<u8>(), size)
        };
        let mut done = 0;
        while done < room.len() {
            match reader.input.read(&mut room[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) => {
                    let failure = Failure::new(VIXP2P_ERR_IO, e.to_string());
                    reader.fault.get_or_insert(e);
                    return Err(failure);
                }
            }
        }
        // SAFETY: as above.
        unsafe { write_out(out_len, done, "out_len") }?;
        Ok(if done == 0 && size > 0 { VIXP2P_EMPTY } else { VIXP2P_OK })
    })
}

/// How far a state goes: the logs it has taken in.
///
/// @param reader       as the read callback got it.
/// @param places       where they go; NULL to ask for their number.
/// @param inout_count  how many fit; how many there are.
/// @return VIXP2P_OK; VIXP2P_ERR_BUFFER_TOO_SMALL with the number in *inout_count; VIXP2P_ERR_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_snapshot_places(
    reader: *mut vixp2p_snapshot_reader,
    places: *mut vixp2p_snapshot_place,
    inout_count: *mut usize,
) -> vixp2p_status {
    guard("vixp2p_snapshot_places", || {
        // SAFETY: the caller promises NULL or the live pointer the callback got, used by one thread at a time.
        let reader = unsafe { reader.cast::<Reader<'_>>().as_mut() }.ok_or_else(|| Failure::null("reader"))?;
        let all: Vec<vixp2p_snapshot_place> =
            reader.places.iter().map(|place| vixp2p_snapshot_place { log: place.log.into(), applied: place.applied }).collect();
        // SAFETY: the caller promises room for *inout_count places.
        let write = |to: *mut u8, i: usize| unsafe { to.cast::<vixp2p_snapshot_place>().write_unaligned(all[i]) };
        // SAFETY: the caller's promise.
        unsafe { write_array(places.cast(), size_of::<vixp2p_snapshot_place>(), inout_count, all.len(), write) }
    })
}

/// The program's functions as the node calls them.
struct Calls(Weak<Inner>);

impl Calls {
    fn slot(&self) -> io::Result<Arc<Slot<SnapshotFns>>> {
        let inner = self.0.upgrade().ok_or(io::ErrorKind::BrokenPipe)?;
        inner.callbacks.snapshot.get().ok_or_else(|| io::Error::other("the snapshot callback was taken away"))
    }
}

/// What a callback's answer means.
fn judged(answer: Option<i32>, fault: Option<io::Error>) -> io::Result<()> {
    match (answer, fault) {
        (_, Some(fault)) => Err(fault),
        (Some(0), None) => Ok(()),
        (Some(other), None) => Err(io::Error::other(format!("the callback returned {other}"))),
        (None, None) => Err(io::Error::other("there is no callback")),
    }
}

impl SnapshotHandler for Calls {
    fn write(&mut self, own: u64, out: &mut dyn Write) -> io::Result<u64> {
        let (slot, mut writer, mut upto) = (self.slot()?, Writer { out, fault: None }, own);
        let pointer = std::ptr::from_mut(&mut writer).cast::<vixp2p_snapshot_writer>();
        // SAFETY: the application gave functions and userdata for each other; the pointers live during the call.
        let answer = slot.run(|(write, _), userdata| unsafe { write(userdata, pointer, &raw mut upto) });
        judged(answer, writer.fault).map(|()| upto)
    }

    fn read(&mut self, places: &[Place], input: &mut dyn Read) -> io::Result<()> {
        let (slot, mut reader) = (self.slot()?, Reader { input, places, fault: None });
        let pointer = std::ptr::from_mut(&mut reader).cast::<vixp2p_snapshot_reader>();
        // SAFETY: as above.
        let answer = slot.run(|(_, read), userdata| unsafe { read(userdata, pointer) });
        judged(answer, reader.fault)
    }
}

impl Inner {
    /// Has the node call the program's functions, if there are any, and nothing else of the program's meanwhile.
    pub(super) fn renew_snapshot_handler(self: &Arc<Self>) {
        let calls = || Box::new(Calls(Arc::downgrade(self))) as Box<dyn SnapshotHandler>;
        let handler = self.callbacks.snapshot.is_set().then(calls);
        let theirs = Arc::downgrade(self);
        let gate = move |work: &mut dyn FnMut()| {
            let Some(inner) = theirs.upgrade() else { return };
            while !inner.desk.is_closing() && !inner.node.is_applying_stopped() {
                let piece = crate::ffi::poll::deadline(TURN_PIECE_MS);
                if let Some(_turn) = inner.desk.turn(piece) {
                    return work();
                }
            }
        };
        self.node.set_snapshot_calls(handler, Arc::new(gate));
    }
}

impl vixp2p_node_options {
    /// The settings of snapshots.
    ///
    /// # Safety
    /// The pointers among the members are NULL or point to what the header says.
    pub(super) unsafe fn snapshots(&self) -> Answer<SnapshotConfig> {
        if self.snapshot.write.is_some() != self.snapshot.read.is_some() {
            return Err(Failure::invalid("options.snapshot has one of write and read; give both"));
        }
        // SAFETY: the caller's promise.
        let schema = unsafe { read_str(self.snapshot_schema, "options.snapshot_schema") }?.unwrap_or_default().to_owned();
        let mut config = SnapshotConfig { schema, ..SnapshotConfig::default() };
        let count = self.snapshot_from_count;
        if count > limits::LOGS_MAX || (count > 0 && self.snapshot_from.is_null()) {
            return Err(Failure::invalid(format!(
                "options.snapshot_from_count is {count}; give as many keys, {} at most",
                limits::LOGS_MAX
            )));
        }
        if !self.snapshot_from.is_null() {
            // SAFETY: not NULL, and the caller promises as many keys.
            config.from = Some((0..count).map(|i| unsafe { self.snapshot_from.add(i).read_unaligned() }.into()).collect());
        }
        config.log_max_bytes = Some(self.log_max_bytes).filter(|cap| *cap != 0);
        if self.replica_lease_ms != 0 {
            config.lease = Duration::from_millis(self.replica_lease_ms);
        }
        Ok(config)
    }
}
