//! Texts that people, programs and files hand in.

use vixp2p::base::RegistryUrl;
use vixp2p::base::config::Psk;
use vixp2p::base::endpoint::Scheme;
use vixp2p::base::invite::Invite;
use vixp2p::base::limits;
use vixp2p::base::trust::{KnownPeers, TrustEntry, TrustState};
use vixp2p::crypto::keyfile::{self, Cost, SealSeeds};
use vixp2p::crypto::rotation::{self, History};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::registry::json::{Announcement, read_peers, write_peers};
use vixp2p::wire::Rotation;
use vixp2p::{Endpoint, PeerId};

pub(crate) fn key_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let public = keyfile::public_key(text);
    if let Ok(identity) = keyfile::open(text, None) {
        assert_eq!(public.ok(), Some((identity.id(), false)));
        let again = keyfile::open(&keyfile::to_plain(&identity), None).expect("own text");
        assert_eq!(again.id(), identity.id());
    }
    _ = Psk::from_hex(text);
    if let Ok(id) = text.parse::<PeerId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
}

pub(crate) fn key_file_seeds() -> Vec<Vec<u8>> {
    let identity = Identity::from_seed(&Secret::new([7; 32]));
    let passphrase = vixp2p::base::passphrase::Passphrase::new(b"words".to_vec()).expect("short");
    let cost = Cost::new(8, 1, 1).expect("the least");
    let sealed = keyfile::to_sealed(&identity, &passphrase, cost, &SealSeeds { salt: [1; 16], nonce: [2; 24] });
    let plain = keyfile::to_plain(&identity);
    vec![plain.as_bytes().to_vec(), sealed.as_bytes().to_vec(), identity.id().to_string().into_bytes()]
}

pub(crate) fn invite(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    _ = Invite::is_meant(text);
    if let Ok(invite) = text.parse::<Invite>() {
        assert_eq!(invite.to_text().as_str(), text.trim().to_ascii_lowercase());
        assert!(invite.to_text().parse::<Invite>().is_ok_and(|again| again == invite));
    }
    // The same behind a right checksum: `0`, then the bytes.
    if let Some(("0", body)) = text.split_at_checked(1).filter(|_| text.len() <= limits::INVITE_TEXT_MAX_BYTES) {
        let mut bytes = body.as_bytes().to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let text = format!("vixp2p1{}", base32(&bytes));
        if let Ok(invite) = text.parse::<Invite>() {
            assert_eq!(invite.to_text().as_str(), text);
        }
    }
}

fn base32(bytes: &[u8]) -> String {
    let (mut out, mut bits, mut held) = (String::new(), 0u32, 0u32);
    for byte in bytes {
        (bits, held) = ((bits << 8 | u32::from(*byte)) & 0xfff, held + 8);
        while held >= 5 {
            held -= 5;
            out.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        out.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(bits << (5 - held) & 31) as usize]));
    }
    out
}

pub(crate) fn invite_seeds() -> Vec<Vec<u8>> {
    let addresses = || vec![Endpoint::tcp("node-b", 9001), Endpoint::tcp("::1", 1)];
    let invite = |psk| Invite::new(PeerId([7; 32]), addresses(), psk).expect("an invite").to_text().as_bytes().to_vec();
    let mut raw = b"0\x01".to_vec();
    raw.extend_from_slice(&[7; 32]);
    raw.extend_from_slice(b"\x00\x01\x09\x00tcp://h:1");
    vec![invite(None), invite(Some(Psk::new([9; 32]))), raw]
}

/// `0, cert of a claim` or the text of a history.
pub(crate) fn rotations(input: &[u8]) {
    let current = Identity::from_seed(&Secret::new([3; 32])).id();
    if let Some((0, cert)) = input.split_first() {
        if let Ok(records) = Rotation::decode_all(cert) {
            assert_eq!(Rotation::encode_all(&records), cert);
        }
        // Only what the keys signed is proven: of these records nobody but the seeds' keys has signed any.
        if let Some(formerly) = rotation::prove(cert, &current) {
            assert!(formerly.iter().zip([2, 1]).all(|(key, n)| *key == Identity::from_seed(&Secret::new([n; 32])).id()));
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(history) = History::read(text, &current) {
        assert_eq!(History::read(&history.to_text(&current), &current).as_ref(), Ok(&history));
    }
}

pub(crate) fn rotations_seeds() -> Vec<Vec<u8>> {
    let keys = [1, 2, 3].map(|n| Identity::from_seed(&Secret::new([n; 32])));
    let mut history = History::default();
    for pair in keys.windows(2) {
        history.push(rotation::sign(&pair[0], &pair[1].id(), 1_700_000_000));
    }
    let cert = [&[0], &Rotation::encode_all(history.records())[..]].concat();
    vec![cert, history.to_text(&keys[2].id()).into_bytes()]
}

pub(crate) fn known_peers(input: &[u8]) {
    let (mut known, faults) = KnownPeers::parse(input);
    let lines = input.strip_suffix(b"\n").unwrap_or(input);
    let whole = if input.is_empty() { Vec::new() } else { [lines, b"\n"].concat() };
    assert_eq!(known.format(), whole, "nothing is lost");
    assert!(faults.iter().all(|fault| fault.line >= 1 && fault.line <= lines.split(|byte| *byte == b'\n').count()));
    // Whatever stands in the file, a key can be revoked and forgotten, and the rest stays.
    let others: Vec<TrustEntry> = known.entries().filter(|entry| entry.peer != PeerId([7; 32])).cloned().collect();
    let label = String::from_utf8_lossy(&input[..input.len().min(60)]).into_owned();
    let entry = TrustEntry { peer: PeerId([7; 32]), state: TrustState::Revoked, label, added_s: Some(1) };
    known.set(entry.clone());
    let (again, _) = KnownPeers::parse(&known.format());
    assert_eq!(again.get(&entry.peer), Some(&entry));
    known.remove(&entry.peer);
    let (again, _) = KnownPeers::parse(&known.format());
    assert_eq!(again.entries().cloned().collect::<Vec<_>>(), others);
}

pub(crate) fn known_peers_seeds() -> Vec<Vec<u8>> {
    let (a, b) = (PeerId([7; 32]), PeerId([8; 32]));
    let text = format!("# who may come in\n\ntrusted {a} Ann \\u{{1b}} # since 12\npinned {b} node-b\nrevoked {a}\ngarbage\n");
    vec![text.into_bytes(), format!("pinned {b} x").into_bytes()]
}

pub(crate) fn registry(input: &[u8]) {
    if let Ok(announcement) = Announcement::parse(input) {
        assert!(announcement.tcp_port > 0 && (1..=limits::NODE_ID_MAX_BYTES).contains(&announcement.node_id.len()));
        assert_eq!(Announcement::parse(announcement.to_json().as_bytes()), Ok(announcement));
    }
    if let Ok(peers) = read_peers(input, 20) {
        assert!(peers.len() <= 20);
        for peer in &peers {
            assert_eq!(peer.endpoint().to_string().parse::<Endpoint>().expect("can be dialled"), peer.endpoint());
        }
        assert_eq!(read_peers(write_peers(&peers).as_bytes(), 20).expect("own text"), peers);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(url) = text.parse::<RegistryUrl>() {
        assert_eq!(url.to_string().parse::<RegistryUrl>().expect("own text"), url);
    }
    let here: RegistryUrl = "http://127.0.0.1:8080/p2p/v1".parse().expect("an address");
    if let Some(path) = here.same_place(text) {
        // What goes into the request's first line.
        assert!(path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|c| c.is_ascii_graphic()), "{path}");
    }
}

pub(crate) fn registry_seeds() -> Vec<Vec<u8>> {
    let announcement = Announcement { node_id: "node-a".into(), tcp_port: 9001, host: Some("node-a.example".into()) };
    let list = r#"{"peers":[{"node_id":"a","host":"::1","tcp_port":1,"transport":"tcp"},{"host":"h","tcp_port":65535},7]}"#;
    [&announcement.to_json(), list, "https://[::1]:8443/p2p/v1/", "http://127.0.0.1:8080/p2p/v1/peers?limit=20", "/peers?limit=20"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

pub(crate) fn endpoint(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(endpoint) = text.parse::<Endpoint>() else { return };
    assert!(
        text.len() <= limits::ENDPOINT_TEXT_MAX_BYTES
            && (endpoint.port > 0) == (endpoint.scheme == Scheme::Tcp)
            && !endpoint.host.is_empty()
    );
    let again = endpoint.to_string();
    if again.len() <= limits::ENDPOINT_TEXT_MAX_BYTES {
        assert_eq!(again.parse::<Endpoint>().expect("own text"), endpoint, "{again}");
    }
}

pub(crate) fn endpoint_seeds() -> Vec<Vec<u8>> {
    ["tcp://node-b:9001", "[::1]:1", "TCP://127.0.0.1:65535", "tcp://[fe80::1%eth0]:80", "unix:///run/a.sock", "mem://b"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}
