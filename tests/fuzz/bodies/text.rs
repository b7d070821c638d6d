//! Texts that people, programs and files hand in.

use vixp2p::base::config::Psk;
use vixp2p::base::limits;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::{Endpoint, PeerId};

pub(crate) fn key_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(identity) = Identity::from_key_file(text) {
        let again = Identity::from_key_file(&identity.to_key_file()).expect("own text");
        assert_eq!(again.id(), identity.id());
    }
    _ = Psk::from_hex(text);
    if let Ok(id) = text.parse::<PeerId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
}

pub(crate) fn key_file_seeds() -> Vec<Vec<u8>> {
    let identity = Identity::from_seed(&Secret::new([7; 32]));
    vec![identity.to_key_file().as_bytes().to_vec(), identity.id().to_string().into_bytes()]
}

pub(crate) fn endpoint(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(endpoint) = text.parse::<Endpoint>() else { return };
    assert!(text.len() <= limits::ENDPOINT_TEXT_MAX_BYTES && endpoint.port > 0 && !endpoint.host.is_empty());
    let again = endpoint.to_string();
    if again.len() <= limits::ENDPOINT_TEXT_MAX_BYTES {
        assert_eq!(again.parse::<Endpoint>().expect("own text"), endpoint, "{again}");
    }
}

pub(crate) fn endpoint_seeds() -> Vec<Vec<u8>> {
    ["tcp://node-b:9001", "[::1]:1", "TCP://127.0.0.1:65535", "tcp://[fe80::1%eth0]:80"].map(|text| text.as_bytes().to_vec()).to_vec()
}
