//! Nodes for tests: created over loopback, destroyed when dropped, waited for without sleeping.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vixp2p::ffi::*;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn options(label: &CStr) -> vixp2p_node_options {
    let mut options = std::mem::MaybeUninit::<vixp2p_node_options>::uninit();
    let done = unsafe { vixp2p_node_options_init(options.as_mut_ptr(), size_of::<vixp2p_node_options>()) };
    assert_eq!(done, vixp2p_status::VIXP2P_OK);
    let mut options = unsafe { options.assume_init() };
    options.node_id = label.as_ptr();
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = c"127.0.0.1".as_ptr();
    options.trust = VIXP2P_TRUST_TOFU;
    options
}

pub(crate) fn create(options: &vixp2p_node_options) -> Node {
    let mut handle = std::ptr::null_mut();
    let status = unsafe { vixp2p_node_create(options, &raw mut handle) };
    assert_eq!(status, vixp2p_status::VIXP2P_OK, "{}", last_error());
    assert!(!handle.is_null());
    Node(handle)
}

/// A node that polls.
pub(crate) fn polled(label: &CStr) -> Node {
    create(&vixp2p_node_options { delivery: VIXP2P_DELIVERY_POLL, ..options(label) })
}

pub(crate) fn last_error() -> String {
    text(vixp2p_last_error_message())
}

pub(crate) fn text(pointer: *const c_char) -> String {
    if pointer.is_null() { String::new() } else { unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8").to_owned() }
}

/// A handle that is destroyed at the end of the test.
pub(crate) struct Node(pub *mut vixp2p_node);

unsafe impl Send for Node {}
unsafe impl Sync for Node {}

impl Drop for Node {
    fn drop(&mut self) {
        unsafe { vixp2p_node_destroy(self.0) }
    }
}

impl Node {
    pub(crate) fn start(&self) {
        assert_eq!(unsafe { vixp2p_node_start(self.0) }, vixp2p_status::VIXP2P_OK, "{}", last_error());
    }

    pub(crate) fn stop(&self) -> vixp2p_status {
        unsafe { vixp2p_node_stop(self.0, -1) }
    }

    pub(crate) fn id(&self) -> vixp2p_peer_id {
        let mut id = vixp2p_peer_id::default();
        assert_eq!(unsafe { vixp2p_node_id(self.0, &raw mut id) }, vixp2p_status::VIXP2P_OK);
        id
    }

    pub(crate) fn port(&self) -> u16 {
        let mut port = 0;
        assert_eq!(unsafe { vixp2p_node_port(self.0, &raw mut port) }, vixp2p_status::VIXP2P_OK);
        port
    }

    pub(crate) fn connect_to(&self, other: &Node) {
        let endpoint = CString::new(format!("127.0.0.1:{}", other.port())).expect("no zero inside");
        assert_eq!(unsafe { vixp2p_node_connect(self.0, endpoint.as_ptr()) }, vixp2p_status::VIXP2P_OK, "{}", last_error());
    }

    pub(crate) fn send(&self, peer: vixp2p_peer_id, data: &[u8]) -> vixp2p_status {
        unsafe { vixp2p_node_send(self.0, &raw const peer, data.as_ptr().cast(), data.len()) }
    }

    pub(crate) fn append(&self, data: &[u8]) -> u64 {
        let mut seq = 0;
        let status = unsafe { vixp2p_node_append(self.0, data.as_ptr().cast(), data.len(), &raw mut seq) };
        assert_eq!(status, vixp2p_status::VIXP2P_OK, "{}", last_error());
        seq
    }

    pub(crate) fn own_log(&self) -> vixp2p_log_id {
        let mut log = vixp2p_log_id::default();
        assert_eq!(unsafe { vixp2p_node_own_log(self.0, &raw mut log) }, vixp2p_status::VIXP2P_OK);
        log
    }

    /// The next event of a node that polls, if there is one within `timeout_ms`.
    pub(crate) fn wait_event(&self, timeout_ms: i32) -> Result<Event, vixp2p_status> {
        let mut event = std::ptr::null_mut();
        match unsafe { vixp2p_node_wait_event(self.0, timeout_ms, &raw mut event) } {
            vixp2p_status::VIXP2P_OK => Ok(Event(event)),
            other => {
                assert!(event.is_null());
                Err(other)
            }
        }
    }

    /// Takes events of a node that polls until one is of that kind.
    pub(crate) fn until(&self, kind: vixp2p_event_kind) -> Event {
        loop {
            let event = self.wait_event(30_000).unwrap_or_else(|status| panic!("no {kind:?}, but {status:?}: {}", last_error()));
            if event.kind() == kind {
                return event;
            }
        }
    }
}

/// An event the test owns.
pub(crate) struct Event(pub *mut vixp2p_event);

impl Drop for Event {
    fn drop(&mut self) {
        unsafe { vixp2p_event_free(self.0) }
    }
}

impl Event {
    pub(crate) fn kind(&self) -> vixp2p_event_kind {
        unsafe { vixp2p_event_get_kind(self.0) }
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        let mut len = usize::MAX;
        let data = unsafe { vixp2p_event_data(self.0, &raw mut len) };
        if data.is_null() {
            assert_eq!(len, 0);
            return Vec::new();
        }
        unsafe { std::slice::from_raw_parts(data.cast(), len) }.to_vec()
    }

    pub(crate) fn peer(&self) -> vixp2p_peer_id {
        let mut peer = vixp2p_peer_id::default();
        assert_eq!(unsafe { vixp2p_event_peer(self.0, &raw mut peer) }, vixp2p_status::VIXP2P_OK);
        peer
    }
}

/// What a callback saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Event(vixp2p_event_kind),
    Message(Vec<u8>),
    Log(String),
    Record(u64, Vec<u8>),
}

type Act = Box<dyn FnMut(&Seen) -> i32 + Send>;

/// Userdata that tells a channel what it is called with, does what the test says, and counts how often it is dropped.
pub(crate) struct Witness {
    tell: Mutex<Sender<Seen>>,
    act: Mutex<Act>,
    dropped: Arc<AtomicUsize>,
    gone: Sender<()>,
}

/// The test's end of a [`Witness`].
pub(crate) struct Trial {
    pub userdata: *mut c_void,
    seen: Receiver<Seen>,
    dropped: Arc<AtomicUsize>,
    gone: Receiver<()>,
}

impl Trial {
    pub(crate) fn new(act: impl FnMut(&Seen) -> i32 + Send + 'static) -> Trial {
        let ((tell, seen), (gone, is_gone)) = (channel(), channel());
        let dropped = Arc::new(AtomicUsize::new(0));
        let witness = Witness { tell: Mutex::new(tell), act: Mutex::new(Box::new(act)), dropped: dropped.clone(), gone };
        // Never freed: a second drop must be counted, not be undefined.
        let userdata = Box::into_raw(Box::new(witness)).cast();
        Trial { userdata, seen, dropped, gone: is_gone }
    }

    pub(crate) fn quiet() -> Trial {
        Trial::new(|_| 0)
    }

    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("the callback is called")
    }

    pub(crate) fn try_next(&self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    /// Waits for something the callback is to see.
    pub(crate) fn until(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        loop {
            let seen = self.next();
            if wanted(&seen) {
                return seen;
            }
        }
    }

    pub(crate) fn drops(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for_drop(&self) {
        self.gone.recv_timeout(PATIENCE).expect("userdata is dropped");
    }

    pub(crate) fn event(&self) -> vixp2p_event_callback {
        vixp2p_event_callback { r#fn: Some(on_event), userdata: self.userdata, drop: Some(on_drop) }
    }

    pub(crate) fn message(&self) -> vixp2p_message_callback {
        vixp2p_message_callback { r#fn: Some(on_message), userdata: self.userdata, drop: Some(on_drop) }
    }

    pub(crate) fn log(&self) -> vixp2p_log_callback {
        vixp2p_log_callback { r#fn: Some(on_log), userdata: self.userdata, drop: Some(on_drop) }
    }

    pub(crate) fn apply(&self) -> vixp2p_apply_callback {
        vixp2p_apply_callback { r#fn: Some(on_apply), userdata: self.userdata, drop: Some(on_drop) }
    }
}

fn saw(userdata: *mut c_void, seen: Seen) -> i32 {
    let witness = unsafe { &*userdata.cast::<Witness>() };
    assert_eq!(witness.dropped.load(Ordering::SeqCst), 0, "called after drop");
    let mut act = witness.act.try_lock().expect("calls are serialised");
    let answer = act(&seen);
    // The test may have ended.
    let _ = witness.tell.lock().expect("sound").send(seen);
    answer
}

unsafe extern "C" fn on_drop(userdata: *mut c_void) {
    let witness = unsafe { &*userdata.cast::<Witness>() };
    witness.dropped.fetch_add(1, Ordering::SeqCst);
    let _ = witness.gone.send(());
}

unsafe extern "C" fn on_event(userdata: *mut c_void, event: *const vixp2p_event) {
    // Freeing what is only lent does nothing.
    unsafe { vixp2p_event_free(event.cast_mut()) };
    saw(userdata, Seen::Event(unsafe { vixp2p_event_get_kind(event) }));
}

unsafe extern "C" fn on_message(userdata: *mut c_void, peer: *const vixp2p_peer_id, data: *const c_void, len: usize) {
    assert!(!peer.is_null());
    saw(userdata, Seen::Message(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec()));
}

unsafe extern "C" fn on_log(userdata: *mut c_void, record: *const vixp2p_log_record) {
    let record = unsafe { &*record };
    assert_eq!(record.struct_size as usize, size_of::<vixp2p_log_record>());
    let line = text(record.message);
    assert_eq!(line.len(), record.message_len);
    saw(userdata, Seen::Log(line));
}

unsafe extern "C" fn on_apply(userdata: *mut c_void, record: *const vixp2p_record) -> i32 {
    let record = unsafe { &*record };
    assert_eq!(record.struct_size as usize, size_of::<vixp2p_record>());
    let data = unsafe { std::slice::from_raw_parts(record.data.cast::<u8>(), record.len) }.to_vec();
    saw(userdata, Seen::Record(record.seq, data))
}
