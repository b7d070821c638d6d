//! PROTOCOL.md says the numbers of the code: limits, kinds, close codes. Never compares prose.

use vixp2p::base::close::Distrust;
use vixp2p::base::{CloseReason, limits};
use vixp2p::wire::message::kind;

const TEXT: &str = include_str!("../PROTOCOL.md");

/// The cells of the table line that begins with `first`.
fn line(first: &str) -> Vec<&'static str> {
    let row = |line: &'static str| line.split('|').map(str::trim).skip(1).collect::<Vec<_>>();
    TEXT.lines().filter(|line| line.starts_with('|')).map(row).find(|cells| cells[0] == first).unwrap_or_else(|| panic!("no line {first}"))
}

#[test]
fn the_limits_of_the_protocol_text_are_those_of_the_code() {
    macro_rules! same {
        ($($name:ident),+ $(,)?) => {
            $(assert_eq!(line(concat!("`", stringify!($name), "`"))[1], limits::$name.to_string(), stringify!($name));)+
        };
    }
    same!(
        PREAUTH_FRAME_MAX_BYTES,
        KEY_SHARE_MAX_BYTES,
        KEY_SHARES_MAX,
        SUITES_MAX,
        IDENTITY_MAX_BYTES,
        CERT_MAX_BYTES,
        NODE_ID_MAX_BYTES,
        CAPABILITIES_MAX,
        CAPABILITY_MAX_BYTES,
        CAPABILITIES_TOTAL_MAX_BYTES,
        RECORD_PLAINTEXT_MAX_BYTES,
        REKEY_AFTER_RECORDS,
        REKEY_AFTER_BYTES,
        MESSAGE_MAX_BYTES,
        CLOSE_DETAIL_MAX_BYTES,
        WAL_PUSH_MAX_BYTES,
        VECTOR_MAX_ENTRIES,
        SNAPSHOT_PIECE_BYTES,
        SNAPSHOT_MAX_BYTES,
        SNAPSHOT_MANIFEST_MAX_BYTES,
        SNAPSHOT_ASKED_MAX,
        REPLICA_WINDOW_BYTES,
        RECORD_PAYLOAD_MAX_BYTES,
        RECORD_CAUSES_MAX,
        GROUP_MAX_RECORDS,
        GROUP_MAX_BYTES,
        SEAL_RECORD_BYTES,
        ANNOUNCE_MAX_BYTES,
        ENDPOINT_TEXT_MAX_BYTES,
        INVITE_ADDRESSES_MAX,
        INVITE_TEXT_MAX_BYTES,
        ROUTED_MAX_BYTES,
        PARCEL_MAX_BYTES,
        ROUTE_TTL,
        NEIGHBOURS_TOLD_MAX,
    );
}

#[test]
fn the_times_of_the_protocol_text_are_those_of_the_code() {
    let seconds = [limits::HANDSHAKE_DEADLINE, limits::HEARTBEAT_INTERVAL, limits::STALE_AFTER].map(|time| time.as_secs());
    assert_eq!(seconds, [5, 5, 15]);
    assert!(TEXT.contains("5 s from TCP up to Welcome; Ping after 5 s of silence; a link is stale after 15 s"));
}

#[test]
fn the_kinds_of_the_protocol_text_are_those_of_the_code() {
    let section = TEXT.split("### Live kinds").nth(1).expect("the section");
    for (number, name) in [
        (kind::PING, "Ping"),
        (kind::PONG, "Pong"),
        (kind::WELCOME, "Welcome"),
        (kind::CLOSE, "Close"),
        (kind::KEY_UPDATE, "KeyUpdate"),
        (kind::WAL_PUSH, "WalPush"),
        (kind::WAL_ACK, "WalAck"),
        (kind::OUTBOX_PULL, "OutboxPull"),
        (kind::VECTOR, "Vector"),
        (kind::WAL_NAK, "WalNak"),
        (kind::OUTBOX_HELD, "OutboxHeld"),
        (kind::SNAPSHOT_OFFER, "SnapshotOffer"),
        (kind::SNAPSHOT_FETCH, "SnapshotFetch"),
        (kind::SNAPSHOT_DATA, "SnapshotData"),
        (kind::SNAPSHOT_DECLINE, "SnapshotDecline"),
        (kind::WAL_SEAL, "WalSeal"),
        (kind::DATA, "application data"),
        (kind::PARCEL, "Parcel"),
        (kind::NOTICE, "Notice"),
        (kind::SEARCH, "Search"),
        (kind::NEIGHBOURS, "Neighbours"),
    ] {
        assert!(section.contains(&format!("\n| {number} | {name} |")), "{name}");
    }
}

#[test]
fn the_close_codes_of_the_protocol_text_are_those_of_the_code() {
    let section = TEXT.split("### Close codes").nth(1).expect("the section");
    let text = String::new;
    for reason in [
        CloseReason::Lost(text()),
        CloseReason::Shutdown,
        CloseReason::Disconnected,
        CloseReason::Duplicate,
        CloseReason::MaxPeers,
        CloseReason::Untrusted(Distrust::Told),
        CloseReason::Revoked(text()),
        CloseReason::BadVersion(text()),
        CloseReason::Busy,
        CloseReason::SelfConnect,
        CloseReason::Protocol(text()),
        CloseReason::Stale,
        CloseReason::SlowReader,
    ] {
        assert!(section.contains(&format!("\n| {} | {} |", reason.code(), reason.name())), "{reason}");
    }
}
