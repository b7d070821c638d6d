//! What invites promise: one text per value, clear refusals, no panic on any text, no secret shown.

use proptest::prelude::*;

use super::*;

fn invites() -> impl Strategy<Value = Invite> {
    let host = prop_oneof!["[a-z][a-z0-9.-]{0,60}", Just("::1".to_owned()), Just("127.0.0.1".to_owned())];
    let address = (host, 1u16..).prop_map(|(host, port)| Endpoint::tcp(host, port));
    let addresses = prop::collection::vec(address, 1..=limits::INVITE_ADDRESSES_MAX);
    (any::<[u8; 32]>(), addresses, any::<Option<[u8; 32]>>())
        .prop_map(|(peer, addresses, psk)| Invite::new(PeerId(peer), addresses, psk.map(Psk::new)).expect("usable"))
}

fn invite() -> Invite {
    Invite::new(PeerId([7; 32]), vec![Endpoint::tcp("node-b", 9001)], Some(Psk::new([0xab; 32]))).expect("usable")
}

/// The text of bytes that lack their checksum.
fn text_of(body: &[u8]) -> String {
    let bytes = [body, &crc32c::crc32c(body).to_le_bytes()].concat();
    format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes))
}

fn refusal(text: &str) -> String {
    text.parse::<Invite>().expect_err("refused").to_string()
}

#[test]
fn an_invite_has_the_layout_of_the_protocol_text() {
    let mut body = vec![1];
    body.extend_from_slice(&[7; 32]);
    body.push(1);
    body.extend_from_slice(&[0xab; 32]);
    body.extend_from_slice(&[1, 17, 0]);
    body.extend_from_slice(b"tcp://node-b:9001");
    assert_eq!(*invite().to_text(), text_of(&body).to_lowercase());
    assert_eq!(text_of(&body).parse::<Invite>().expect("upper case"), invite());
    assert_eq!(format!(" \t{}\r\n", *invite().to_text()).parse::<Invite>().expect("white space around"), invite());
}

#[test]
fn the_line_is_the_one_another_implementation_writes() {
    // By Python's base64.
    let theirs = concat!(
        "vixp2p1aedqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqoanlvov2xk5lvov2xk5lvov2xk5lvov2xk5lvov2x",
        "k5lvov2xk5lvmarcadumnydulzpnzxwizjnmi5dsmbqgeabjmk2",
    );
    assert_eq!(*invite().to_text(), theirs);
}

#[test]
fn what_is_no_invite_is_damaged_or_is_newer_is_told_apart() {
    let good = invite().to_text();
    for text in ["", "vixp2p", "127.0.0.1:9001", "vixp2q1aaaa", "vixp2p:9001", "ä", "vixp2pä"] {
        assert!(refusal(text).contains("not an invite"), "{text}");
    }
    let cut = &good[..good.len() - 1];
    for text in [PREFIX, cut, "vixp2p1!", "vixp2p1aaaaaaaaaaaaaaaa", &good.replace("2p1ae", "2p1af")] {
        assert!(refusal(text).contains("damaged"), "{text}");
    }
    assert!(refusal(&text_of(&[2, 1, 2, 3])).contains("newer version"));
    assert!(refusal("vixp2p2qqqqqq").contains("newer version"));
    assert!(matches!("vixp2p1".repeat(1000).parse::<Invite>(), Err(Error::TooLarge { .. })));
}

#[test]
fn an_invite_that_breaks_its_format_under_a_right_checksum_is_refused() {
    let head = |flags: u8, more: &[u8]| text_of(&[&[1][..], &[7; 32], &[flags], more].concat());
    let entry = |text: &str| [&(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
    assert!(head(0, &[&[1][..], &entry("tcp://h:1")].concat()).parse::<Invite>().is_ok());
    for bad in [
        head(0, &[0]),
        head(0, &[1]),
        head(2, &[&[1][..], &entry("tcp://h:1")].concat()),
        head(1, &[&[1][..], &entry("tcp://h:1")].concat()),
        head(0, &[&[1][..], &entry("h:1")].concat()),
        head(0, &[&[1][..], &entry("udp://h:1")].concat()),
        head(0, &[&[1][..], &entry("tcp://h:1"), b"x"].concat()),
        head(0, &[&[9][..], &entry("tcp://h:1").repeat(9)].concat()),
        head(0, &[1, 0xff, 0xff]),
        head(0, &[1, 1, 0, 0xff]),
    ] {
        assert!(refusal(&bad).contains("breaks its own format"), "{bad}");
    }
}

#[test]
fn an_invite_needs_an_address_that_can_be_read_back() {
    let to = |addresses: Vec<Endpoint>| Invite::new(PeerId([0; 32]), addresses, None);
    assert!(to(vec![]).is_err());
    assert!(to(vec![Endpoint::tcp("h", 1); limits::INVITE_ADDRESSES_MAX + 1]).is_err());
    assert!(to(vec![Endpoint::tcp("two words", 1)]).is_err());
    let longest = "h".repeat(limits::ENDPOINT_TEXT_MAX_BYTES - "tcp://:65535".len());
    let largest = Invite::new(PeerId([0; 32]), vec![Endpoint::tcp(longest, 65535); 8], Some(Psk::new([1; 32]))).expect("at the limits");
    assert_eq!(largest.to_text().parse::<Invite>().expect("within the limit of the text"), largest);
}

#[test]
fn neither_debug_nor_display_nor_an_error_shows_the_secret() {
    let invite = invite();
    for text in [format!("{invite:?}"), format!("{invite}")] {
        assert!(!text.contains("abab") && !text.contains("171, 171"), "{text}");
    }
    let text = invite.to_text();
    assert!(!refusal(&text[..text.len() - 2]).contains(&text[20..40]));
}

proptest! {
    #[test]
    fn an_invite_survives_its_text(invite in invites()) {
        let text = invite.to_text();
        prop_assert!(Invite::is_meant(&text));
        prop_assert_eq!(text.parse::<Invite>().expect("own text"), invite.clone());
        prop_assert_eq!(text.to_uppercase().parse::<Invite>().expect("upper case"), invite);
    }

    #[test]
    fn an_altered_character_is_noticed(invite in invites(), at in any::<prop::sample::Index>(), to in "[a-z2-7]") {
        let text = invite.to_text();
        let at = at.index(text.len());
        let mut altered = text.to_string();
        altered.replace_range(at..=at, &to);
        prop_assert!(altered == *text || altered.parse::<Invite>().is_err());
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in ".{0,80}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (text.parse::<Invite>(), format!("{PREFIX}{text}").parse::<Invite>());
        let framed = text_of(&body);
        if let Ok(invite) = framed.parse::<Invite>() {
            prop_assert_eq!(invite.to_text().to_uppercase(), framed.to_uppercase());
        }
    }
}
