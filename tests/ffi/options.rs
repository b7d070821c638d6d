//! Options structs of other sizes, unusable settings, and the text of the last error.

use std::ffi::CString;
use std::ptr::null_mut;

use vixp2p::ffi::vixp2p_status::*;
use vixp2p::ffi::*;

use crate::support::{Node, Trial, last_error, options, text};

static LONG: [u8; 1025] = [b'x'; 1025];

/// Bytes of options as a program of another age would hand them over.
fn of_size(size: u32, room: usize) -> Vec<u64> {
    let mut bytes = vec![0u64; room.div_ceil(8)];
    let mine = vixp2p_node_options { struct_size: size, ..options(c"sized") };
    let copied = size_of::<vixp2p_node_options>().min(room);
    unsafe { std::ptr::copy_nonoverlapping((&raw const mine).cast::<u8>(), bytes.as_mut_ptr().cast(), copied) };
    bytes
}

fn create_raw(bytes: &[u64]) -> (vixp2p_status, Option<Node>) {
    let mut node = std::ptr::dangling_mut();
    let status = unsafe { vixp2p_node_create(bytes.as_ptr().cast(), &raw mut node) };
    assert_eq!(node.is_null(), status != VIXP2P_OK, "a failure leaves NULL");
    (status, (!node.is_null()).then(|| Node(node)))
}

#[test]
fn options_of_every_age_are_read_or_refused() {
    let ours = size_of::<vixp2p_node_options>();
    let least = VIXP2P_NODE_OPTIONS_SIZE_MIN as u32;
    assert_eq!(create_raw(&of_size(least - 1, ours)).0, VIXP2P_ERR_INVALID);
    assert!(last_error().contains("options.struct_size is 175"), "{}", last_error());
    assert_eq!(create_raw(&of_size(0, ours)).0, VIXP2P_ERR_INVALID);
    assert_eq!(create_raw(&of_size(least, ours)).0, VIXP2P_OK);
    let mut newer = of_size(ours as u32 + 64, ours + 64);
    assert_eq!(create_raw(&newer).0, VIXP2P_OK, "members this library does not know are zero: nothing was asked for");
    *newer.last_mut().expect("room") = 1;
    assert_eq!(create_raw(&newer).0, VIXP2P_ERR_UNSUPPORTED);
    assert!(last_error().contains("newer library"), "{}", last_error());
}

#[test]
fn init_writes_as_much_as_it_was_given_and_no_more() {
    let ours = size_of::<vixp2p_node_options>();
    let mut bytes = vec![u64::MAX; ours / 8 + 9];
    assert_eq!(unsafe { vixp2p_node_options_init(bytes.as_mut_ptr().cast(), ours + 64) }, VIXP2P_OK);
    assert_eq!(bytes[0] as u32 as usize, ours + 64);
    assert_eq!(bytes[ours / 8..ours / 8 + 8], [0; 8]);
    assert_eq!(bytes[ours / 8 + 8], u64::MAX);
    assert_eq!(unsafe { vixp2p_node_options_init(bytes.as_mut_ptr().cast(), 100) }, VIXP2P_ERR_INVALID);
}

const REGISTRY: &std::ffi::CStr = c"http://127.0.0.1:9";
const PSK: [u8; 32] = [7; 32];

/// Texts as C has them.
struct Texts<const N: usize>([*const std::ffi::c_char; N]);
unsafe impl<const N: usize> Sync for Texts<N> {}
static QUIC: Texts<1> = Texts([c"quic://h:1".as_ptr()]);
static HALF: Texts<2> = Texts([c"mem://half".as_ptr(), std::ptr::null()]);

struct Said([vixp2p_capability; 4]);
// SAFETY: points to literals only.
unsafe impl Sync for Said {}
static TWICE: Said = Said([
    vixp2p_capability { name: c"role".as_ptr(), value: c"archive".as_ptr() },
    vixp2p_capability { name: c"role".as_ptr(), value: c"edge".as_ptr() },
    vixp2p_capability { name: c"role".as_ptr(), value: std::ptr::null() },
    vixp2p_capability { name: c"\xff".as_ptr(), value: c"".as_ptr() },
]);

/// An expected status, a part of the text, and what makes the options unusable.
type Unusable = (vixp2p_status, &'static str, Box<dyn Fn(&mut vixp2p_node_options)>);

#[test]
fn an_unusable_setting_is_refused_by_name_and_userdata_is_dropped_once() {
    refused(vec![
        (VIXP2P_ERR_INVALID, "options.listen_port is 70000", Box::new(|o| o.listen_port = 70_000)),
        (VIXP2P_ERR_INVALID, "options.listen is 7", Box::new(|o| o.listen = 7)),
        (VIXP2P_ERR_INVALID, "options.delivery is -3", Box::new(|o| o.delivery = -3)),
        (VIXP2P_ERR_INVALID, "options.log_level is 9", Box::new(|o| o.log_level = 9)),
        (VIXP2P_ERR_UNSUPPORTED, "options.trust is 5", Box::new(|o| o.trust = 5)),
        (VIXP2P_ERR_UNSUPPORTED, "0x100", Box::new(|o| o.flags = 0x100)),
        (VIXP2P_ERR_INVALID, "options.psk_len is 5", Box::new(|o| (o.psk, o.psk_len) = (c"short".as_ptr().cast(), 5))),
        (VIXP2P_ERR_INVALID, "options.psk is NULL", Box::new(|o| o.psk_len = 32)),
        (VIXP2P_ERR_INVALID, "options.psk_len is 0", Box::new(|o| o.psk = c"".as_ptr().cast())),
        (
            VIXP2P_ERR_INVALID,
            "psk_previous without psk",
            Box::new(|o| (o.psk_previous, o.psk_previous_len) = (PSK.as_ptr().cast(), PSK.len())),
        ),
        (
            VIXP2P_ERR_INVALID,
            "options.psk_previous_len is 5",
            Box::new(|o| (o.psk_previous, o.psk_previous_len) = (c"short".as_ptr().cast(), 5)),
        ),
        (VIXP2P_ERR_INVALID, "options.listen_also is NULL", Box::new(|o| o.listen_also_count = 1)),
        (VIXP2P_ERR_INVALID, "unknown scheme \"quic\"", Box::new(|o| (o.listen_also, o.listen_also_count) = (QUIC.0.as_ptr(), 1))),
        (VIXP2P_ERR_INVALID, "options.listen_also[1] is NULL", Box::new(|o| (o.listen_also, o.listen_also_count) = (HALF.0.as_ptr(), 2))),
        (VIXP2P_ERR_INVALID, "options.listen_also_count is 17", Box::new(|o| (o.listen_also, o.listen_also_count) = (HALF.0.as_ptr(), 17))),
        (VIXP2P_ERR_INVALID, "options.capabilities_count is 1", Box::new(|o| o.capabilities_count = 1)),
        (VIXP2P_ERR_INVALID, "capabilities_count is 33", Box::new(|o| (o.capabilities, o.capabilities_count) = (TWICE.0.as_ptr(), 33))),
        (VIXP2P_ERR_INVALID, "the name of an earlier one", Box::new(|o| (o.capabilities, o.capabilities_count) = (TWICE.0.as_ptr(), 2))),
        (
            VIXP2P_ERR_INVALID,
            "capabilities[0].value is NULL",
            Box::new(|o| (o.capabilities, o.capabilities_count) = (&raw const TWICE.0[2], 1)),
        ),
        (
            VIXP2P_ERR_UTF8,
            "capabilities[0].name is not UTF-8",
            Box::new(|o| (o.capabilities, o.capabilities_count) = (&raw const TWICE.0[3], 1)),
        ),
        (VIXP2P_ERR_INVALID, "options.key_agreement is 3", Box::new(|o| o.key_agreement = 3)),
        (VIXP2P_ERR_UNSUPPORTED, "options.durability is 2", Box::new(|o| o.durability = 2)),
        (VIXP2P_ERR_UNSUPPORTED, "options.reserved is 1", Box::new(|o| o.reserved = 1)),
        (VIXP2P_ERR_UTF8, "options.node_id is not UTF-8 after byte 1", Box::new(|o| o.node_id = c"a\xff".as_ptr())),
        (VIXP2P_ERR_INVALID, "node_id is empty", Box::new(|o| o.node_id = c"".as_ptr())),
        (VIXP2P_ERR_INVALID, "key_passphrase is NULL", Box::new(|o| o.key_passphrase_len = 3)),
        (VIXP2P_ERR_INVALID, "passphrase is empty", Box::new(|o| o.key_passphrase = c"".as_ptr().cast())),
        (VIXP2P_ERR_INVALID, "without data_dir", Box::new(|o| (o.key_passphrase, o.key_passphrase_len) = (c"open".as_ptr().cast(), 4))),
        (
            VIXP2P_ERR_TOO_LARGE,
            "passphrase of 1025 bytes",
            Box::new(|o| (o.key_passphrase, o.key_passphrase_len) = (LONG.as_ptr().cast(), LONG.len())),
        ),
        (VIXP2P_ERR_INVALID, "stale_after", Box::new(|o| o.stale_after_ms = 1)),
        (VIXP2P_ERR_IO, "", Box::new(|o| o.data_dir = c"/proc/none/of/this".as_ptr())),
    ]);
    let trial = Trial::quiet();
    let options = vixp2p_node_options { event: trial.event(), ..options(c"nowhere") };
    assert_eq!(unsafe { vixp2p_node_create(&raw const options, null_mut()) }, VIXP2P_ERR_INVALID);
    assert_eq!(trial.drops(), 1);
}

#[test]
fn an_unusable_setting_of_discovery_or_of_a_registry_is_refused_by_name() {
    refused(vec![
        (VIXP2P_ERR_UNSUPPORTED, "options.discovery is 4", Box::new(|o| o.discovery = 4)),
        (VIXP2P_ERR_INVALID, "options.discovery_port is 65536", Box::new(|o| (o.discovery, o.discovery_port) = (1, 65_536))),
        (VIXP2P_ERR_INVALID, "announce interval is 99 ms", Box::new(|o| (o.discovery, o.discovery_interval_ms) = (1, 99))),
        (VIXP2P_ERR_INVALID, "longer than the announce interval", Box::new(|o| (o.discovery, o.discovery_ttl_ms) = (2, 2_000))),
        (VIXP2P_ERR_INVALID, "packets of 255 bytes", Box::new(|o| (o.discovery, o.discovery_packet_bytes) = (3, 255))),
        (VIXP2P_ERR_INVALID, "no IPv4 address", Box::new(|o| (o.discovery, o.discovery_group) = (2, c"ff02::1".as_ptr()))),
        (VIXP2P_ERR_INVALID, "no multicast group", Box::new(|o| (o.discovery, o.discovery_group) = (2, c"10.0.0.1".as_ptr()))),
        (VIXP2P_ERR_INVALID, "announce interval is 99 ms", Box::new(|o| (o.flags, o.discovery_interval_ms) = (VIXP2P_FLAG_MDNS, 99))),
        (VIXP2P_ERR_INVALID, "options.announce_port is 65536", Box::new(|o| o.announce_port = 65_536)),
        (VIXP2P_ERR_UNSUPPORTED, "options.reserved_2 is 1", Box::new(|o| o.reserved_2 = 1)),
        (VIXP2P_ERR_UTF8, "discovery_interfaces", Box::new(|o| (o.discovery, o.discovery_interfaces) = (2, c"\xff".as_ptr()))),
        (VIXP2P_ERR_INVALID, "options.registry_url is NULL", Box::new(|o| o.registry_mode = VIXP2P_REGISTRY_PULL_AND_ANNOUNCE)),
        (VIXP2P_ERR_INVALID, "options.registry_url is NULL", Box::new(|o| o.registry_token = c"t".as_ptr())),
        (VIXP2P_ERR_INVALID, "options.registry_url is NULL", Box::new(|o| o.registry_ca = c"pem".as_ptr())),
        (VIXP2P_ERR_INVALID, "not https", Box::new(|o| (o.registry_url, o.registry_ca) = (c"http://r".as_ptr(), c"pem".as_ptr()))),
        (VIXP2P_ERR_INVALID, "no certificate", Box::new(|o| (o.registry_url, o.registry_ca) = (c"https://r".as_ptr(), c"pem".as_ptr()))),
        (VIXP2P_ERR_INVALID, "neither http nor https", Box::new(|o| o.registry_url = c"ftp://r".as_ptr())),
        (VIXP2P_ERR_INVALID, "options.registry_mode is 2", Box::new(|o| (o.registry_url, o.registry_mode) = (REGISTRY.as_ptr(), 2))),
        (VIXP2P_ERR_INVALID, "a token is", Box::new(|o| (o.registry_url, o.registry_token) = (REGISTRY.as_ptr(), c"two words".as_ptr()))),
        (
            VIXP2P_ERR_INVALID,
            "max_peers_per_poll is 1025",
            Box::new(|o| (o.registry_url, o.registry_max_peers_per_poll) = (REGISTRY.as_ptr(), 1025)),
        ),
        (VIXP2P_ERR_TOO_LARGE, "max_http_bytes", Box::new(|o| (o.registry_url, o.registry_max_http_bytes) = (REGISTRY.as_ptr(), 1 << 30))),
    ]);
}

fn refused(cases: Vec<Unusable>) {
    for (expected, part, change) in cases {
        let trial = Trial::quiet();
        let mut options = vixp2p_node_options { event: trial.event(), ..options(c"wrong") };
        change(&mut options);
        let mut node = std::ptr::dangling_mut();
        let status = unsafe { vixp2p_node_create(&raw const options, &raw mut node) };
        assert_eq!(status, expected, "{part}: {}", last_error());
        assert!(node.is_null());
        assert!(last_error().starts_with("vixp2p_node_create: "), "{}", last_error());
        assert!(last_error().contains(part), "{}", last_error());
        assert_eq!(trial.drops(), 1, "{part}");
    }
}

#[test]
fn the_last_error_is_the_threads_own_and_outlives_a_success() {
    let missing = CString::new("nonsense").expect("no zero inside");
    let mut id = vixp2p_peer_id::default();
    assert_eq!(unsafe { vixp2p_peer_id_from_hex(missing.as_ptr(), &raw mut id) }, VIXP2P_ERR_INVALID);
    assert!(last_error().contains("\"nonsense\" is not 64 hex digits"), "{}", last_error());
    let mut hex = [1; VIXP2P_PEER_ID_HEX_SIZE];
    assert_eq!(unsafe { vixp2p_peer_id_to_hex(&raw const id, hex.as_mut_ptr(), hex.len()) }, VIXP2P_OK);
    assert_eq!(vixp2p_last_error_code(), VIXP2P_ERR_INVALID);
    let elsewhere = std::thread::spawn(|| (vixp2p_last_error_code(), vixp2p_last_error_message().is_null()));
    assert_eq!(elsewhere.join().expect("no panic"), (VIXP2P_OK, true));
    assert_eq!(unsafe { vixp2p_peer_id_to_hex(&raw const id, hex.as_mut_ptr(), 64) }, VIXP2P_ERR_BUFFER_TOO_SMALL);
}

#[test]
fn a_peer_id_survives_its_hex_text() {
    let id = vixp2p_peer_id { bytes: std::array::from_fn(|i| i as u8 * 7) };
    let mut hex = [1; VIXP2P_PEER_ID_HEX_SIZE];
    assert_eq!(unsafe { vixp2p_peer_id_to_hex(&raw const id, hex.as_mut_ptr(), hex.len()) }, VIXP2P_OK);
    let mut back = vixp2p_peer_id::default();
    assert_eq!(unsafe { vixp2p_peer_id_from_hex(hex.as_ptr(), &raw mut back) }, VIXP2P_OK);
    assert_eq!(back, id);
}

#[test]
fn every_status_has_a_text_and_so_has_every_other_number() {
    let known: Vec<String> = (-19..=3).map(|status| text(vixp2p_status_str(status))).collect();
    let unknown = text(vixp2p_status_str(i32::MIN));
    assert!(known.iter().all(|text| !text.is_empty() && *text != unknown));
    assert_eq!(known.iter().collect::<std::collections::BTreeSet<_>>().len(), known.len());
    assert_eq!(text(vixp2p_version()), env!("CARGO_PKG_VERSION"));
    assert_eq!(vixp2p_abi_version(), VIXP2P_ABI_VERSION);
}

#[test]
fn a_sealed_key_needs_its_passphrase_at_every_creation() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = CString::new(dir.path().to_str().expect("UTF-8")).expect("no zero inside");
    let create = |passphrase: &[u8]| {
        let mut options = vixp2p_node_options { data_dir: path.as_ptr(), ..options(c"sealed") };
        if !passphrase.is_empty() {
            (options.key_passphrase, options.key_passphrase_len) = (passphrase.as_ptr().cast(), passphrase.len());
        }
        let mut node = null_mut();
        let status = unsafe { vixp2p_node_create(&raw const options, &raw mut node) };
        let mut id = vixp2p_peer_id::default();
        if status == VIXP2P_OK {
            let node = Node(node);
            assert_eq!(unsafe { vixp2p_node_id(node.0, &raw mut id) }, VIXP2P_OK);
        }
        (status, id)
    };
    let first = create(b"open \0 sesame");
    assert_eq!(first.0, VIXP2P_OK, "{}", last_error());
    assert_eq!(create(b"open \0 sesame"), first);
    for (passphrase, why) in [(&b"open"[..], "passphrase is wrong"), (b"", "no passphrase was given")] {
        assert_eq!(create(passphrase).0, VIXP2P_ERR_KEY);
        assert!(last_error().contains(why) && !last_error().contains("sesame"), "{}", last_error());
    }
    assert_eq!(create(b"open \0 sesame"), first);
}

#[test]
fn an_invite_survives_the_border_and_tells_the_room_it_needs() {
    let peer = vixp2p_peer_id { bytes: [7; 32] };
    let addresses = [c"node-b:9001".as_ptr(), c"tcp://[::1]:2".as_ptr()];
    let secret = [9u8; 32];
    let make = |count, psk_len, out: &mut [std::ffi::c_char], size: &mut usize| unsafe {
        vixp2p_invite_make(&raw const peer, addresses.as_ptr(), count, secret.as_ptr().cast(), psk_len, out.as_mut_ptr(), size)
    };
    let mut size = 0;
    let mut buffer = [1; VIXP2P_INVITE_TEXT_SIZE];
    assert_eq!(make(2, 32, &mut [], &mut size), VIXP2P_ERR_BUFFER_TOO_SMALL);
    let needed = size;
    size = needed - 1;
    assert_eq!((make(2, 32, &mut buffer, &mut size), size, buffer[0]), (VIXP2P_ERR_BUFFER_TOO_SMALL, needed, 1));
    assert_eq!((make(2, 32, &mut buffer, &mut size), size), (VIXP2P_OK, needed));
    let line = text(buffer.as_ptr());
    assert!(line.len() + 1 == needed && line.starts_with("vixp2p1"), "{line}");

    let mut invite = unsafe { std::mem::zeroed::<vixp2p_invite>() };
    assert_eq!(unsafe { vixp2p_invite_parse(buffer.as_ptr(), &raw mut invite, size_of_val(&invite)) }, VIXP2P_OK);
    assert_eq!((invite.struct_size as usize, invite.flags, invite.address_count), (size_of::<vixp2p_invite>(), VIXP2P_INVITE_HAS_PSK, 2));
    assert_eq!((invite.peer, invite.psk), (peer, secret));
    assert_eq!(text(invite.addresses[0].as_ptr()), "tcp://node-b:9001");
    assert_eq!(text(invite.addresses[1].as_ptr()), "tcp://[::1]:2");

    for (count, psk_len, why) in [(0, 32, "address_count is 0"), (9, 32, "address_count is 9"), (1, 31, "psk_len is 31")] {
        assert_eq!(make(count, psk_len, &mut buffer, &mut size), VIXP2P_ERR_INVALID);
        assert!(last_error().contains(why), "{}", last_error());
    }
    for (line, why) in [(c"hello", "not an invite"), (c"vixp2p1aaaa", "damaged"), (c"vixp2p2aaaa", "newer")] {
        assert_eq!(unsafe { vixp2p_invite_parse(line.as_ptr(), &raw mut invite, size_of_val(&invite)) }, VIXP2P_ERR_INVALID);
        assert!(last_error().contains(why), "{}", last_error());
    }
}
