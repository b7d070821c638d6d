//! The handshake family of v1: Hello, HelloAck, HelloFinish, and the bytes they sign. Never computes a signature or a key.

use std::collections::BTreeSet;

use crate::wire::cursor::Writer;
use crate::wire::v1::{Capabilities, Error, Reader};

/// First message. Text is bytes: v1 does not ask for UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// The initiator's nonce.
    pub nonce_a: u64,
    /// Unix time in milliseconds.
    pub ts_ms: u64,
    /// The initiator's name.
    pub node_id: Vec<u8>,
    /// What the initiator says it can do; no key twice.
    pub capabilities: Capabilities,
    /// The initiator's key.
    pub public_key: Vec<u8>,
}

impl Hello {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.var_u64(self.nonce_a);
        w.var_u64(self.ts_ms);
        w.bytes_var(&self.node_id);
        w.var_u64(self.capabilities.len() as u64);
        for (key, value) in &self.capabilities {
            w.bytes_var(key);
            w.bytes_var(value);
        }
        w.bytes_var(&self.public_key);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Hello, Error> {
        let (nonce_a, ts_ms, node_id) = (r.var_u64()?, r.var_u64()?, r.str_var()?.to_vec());
        let capabilities = decode_capabilities(r)?;
        Ok(Hello { nonce_a, ts_ms, node_id, capabilities, public_key: r.bytes_var()?.to_vec() })
    }
}

/// Of two entries with the same key the first counts. The count is only as large as the input allows.
fn decode_capabilities(r: &mut Reader<'_>) -> Result<Capabilities, Error> {
    let mut capabilities = Vec::new();
    let mut keys = BTreeSet::new();
    for _ in 0..r.var_u64()? {
        let (key, value) = (r.str_var()?, r.str_var()?);
        if keys.insert(key) {
            capabilities.push((key.to_vec(), value.to_vec()));
        }
    }
    Ok(capabilities)
}

/// Second message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HelloAck {
    /// The Hello's nonce.
    pub nonce_a: u64,
    /// The responder's nonce.
    pub nonce_b: u64,
    /// The responder's key.
    pub public_key: Vec<u8>,
}

impl HelloAck {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.var_u64(self.nonce_a);
        w.var_u64(self.nonce_b);
        w.bytes_var(&self.public_key);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<HelloAck, Error> {
        Ok(HelloAck { nonce_a: r.var_u64()?, nonce_b: r.var_u64()?, public_key: r.bytes_var()?.to_vec() })
    }
}

/// Third message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HelloFinish {
    /// The Hello's nonce.
    pub nonce_a: u64,
    /// The HelloAck's nonce.
    pub nonce_b: u64,
    /// The initiator's signature.
    pub signature: Vec<u8>,
}

impl HelloFinish {
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.var_u64(self.nonce_a);
        w.var_u64(self.nonce_b);
        w.bytes_var(&self.signature);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<HelloFinish, Error> {
        Ok(HelloFinish { nonce_a: r.var_u64()?, nonce_b: r.var_u64()?, signature: r.bytes_var()?.to_vec() })
    }
}

/// What a v1 initiator signs: nonces, time, version, transport name. Neither key nor name is in it.
pub fn signature_input(nonce_a: u64, nonce_b: u64, ts_ms: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(33);
    let mut w = Writer::new(&mut out);
    w.u64(nonce_a);
    w.u64(nonce_b);
    w.u64(ts_ms);
    w.u16(1);
    w.u16(0);
    w.u16(3);
    w.bytes(b"tcp");
    out
}
