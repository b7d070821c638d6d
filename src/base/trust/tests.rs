//! What a key is worth under each policy, and that the file says what the table knows.

use proptest::prelude::*;

use super::*;

fn id(n: u8) -> PeerId {
    PeerId([n; 32])
}

fn info(n: u8, node_id: &str, formerly: &[u8]) -> PeerInfo {
    PeerInfo { id: id(n), node_id: node_id.into(), capabilities: Vec::new(), formerly: formerly.iter().map(|n| id(*n)).collect() }
}

fn entry(state: TrustState, n: u8, label: &str) -> TrustEntry {
    TrustEntry { peer: id(n), state, label: label.into(), added_s: None }
}

/// 1 trusted as "one", 2 pinned as "two", 3 revoked.
fn table(policy: TrustPolicy) -> TrustTable {
    use TrustState::{Pinned, Revoked, Trusted};
    TrustTable::new(policy, 0, [entry(Trusted, 1, "one"), entry(Pinned, 2, "two"), entry(Revoked, 3, "three")])
}

const ALL: [TrustPolicy; 4] = [TrustPolicy::Open, TrustPolicy::Tofu, TrustPolicy::Pinned, TrustPolicy::AllowList];

#[test]
fn a_policy_is_read_by_its_name_with_either_dash() {
    for policy in ALL {
        assert_eq!(policy.name().parse::<TrustPolicy>().expect("own name"), policy);
    }
    assert_eq!("allow-list".parse::<TrustPolicy>().expect("with a dash"), TrustPolicy::AllowList);
    assert!("everybody".parse::<TrustPolicy>().expect_err("unknown").to_string().contains("allow_list"));
}

#[test]
fn a_revoked_key_and_its_unlisted_successors_are_refused_under_every_policy() {
    for policy in ALL {
        let table = table(policy);
        for info in [info(3, "three", &[]), info(9, "nine", &[3]), info(9, "nine", &[8, 3]), info(2, "two", &[3])] {
            let refused = table.judge(&info, Some(info.id)).expect_err("revoked");
            assert!(matches!(refused, CloseReason::Revoked(_)), "{policy} {info:?}: {refused}");
        }
        let vouched_for = table.judge(&info(1, "one", &[3]), None);
        assert_eq!(vouched_for, Ok(Standing::TRUSTED), "{policy}: a person trusts the new key");
    }
}

#[test]
fn a_dial_that_reaches_another_key_than_it_named_is_refused_under_every_policy() {
    for policy in ALL {
        let refused = table(policy).judge(&info(1, "one", &[]), Some(id(2))).expect_err("another key");
        assert_eq!(refused, CloseReason::Untrusted(Distrust::Unexpected { wanted: id(2), got: id(1) }));
    }
}

#[test]
fn a_listed_key_is_trusted_under_every_policy() {
    for policy in ALL {
        assert_eq!(table(policy).judge(&info(1, "whatever", &[]), None), Ok(Standing::TRUSTED));
        assert_eq!(table(policy).judge(&info(2, "two", &[]), None), Ok(Standing::TRUSTED));
    }
}

#[test]
fn an_open_node_lets_strangers_in_and_does_not_trust_them() {
    assert_eq!(table(TrustPolicy::Open).judge(&info(9, "nine", &[]), Some(id(9))), Ok(Standing::STRANGER));
}

#[test]
fn the_first_key_of_a_node_id_is_pinned_and_another_one_refused() {
    let table = table(TrustPolicy::Tofu);
    assert_eq!(table.judge(&info(9, "nine", &[]), None), Ok(Standing { trusted: true, pin: true, moved_from: None }));
    for (owner, node_id) in [(1, "one"), (2, "two")] {
        let refused = table.judge(&info(9, node_id, &[]), None).expect_err("taken");
        assert_eq!(refused, CloseReason::Untrusted(Distrust::Changed { node_id: node_id.into(), pinned: id(owner), got: id(9) }));
    }
}

#[test]
fn a_pinned_key_may_take_a_free_node_id_but_nobody_elses() {
    let table = table(TrustPolicy::Tofu);
    assert_eq!(table.judge(&info(2, "renamed", &[]), None), Ok(Standing { trusted: true, pin: true, moved_from: None }));
    assert!(matches!(table.judge(&info(2, "one", &[]), None), Err(CloseReason::Untrusted(Distrust::Changed { .. }))));
    assert!(matches!(table.judge(&info(9, "one", &[2]), None), Err(CloseReason::Untrusted(Distrust::Changed { .. }))));
}

#[test]
fn a_proven_successor_takes_the_place_of_a_listed_key_under_every_policy() {
    for policy in ALL {
        let standing = table(policy).judge(&info(9, "two", &[8, 2]), None);
        assert_eq!(standing, Ok(Standing { trusted: true, pin: true, moved_from: Some(id(2)) }), "{policy}");
    }
}

#[test]
fn pinned_nodes_take_the_key_a_dial_names_and_nobody_unlisted_who_dials() {
    let table = table(TrustPolicy::Pinned);
    assert_eq!(table.judge(&info(9, "nine", &[]), Some(id(9))), Ok(Standing::TRUSTED));
    assert!(matches!(table.judge(&info(9, "nine", &[]), None), Err(CloseReason::Untrusted(Distrust::Unlisted { .. }))));
}

#[test]
fn an_allow_list_is_not_widened_by_naming_a_key() {
    let refused = table(TrustPolicy::AllowList).judge(&info(9, "nine", &[]), Some(id(9)));
    assert!(matches!(refused, Err(CloseReason::Untrusted(Distrust::Unlisted { .. }))));
}

#[test]
fn a_full_table_pins_nobody_else() {
    let key = |n: usize| {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&(n as u64).to_le_bytes());
        PeerId(key)
    };
    let entries = (0..limits::TRUST_ENTRIES_MAX).map(|n| TrustEntry { peer: key(n), ..entry(TrustState::Pinned, 0, &n.to_string()) });
    let refused = TrustTable::new(TrustPolicy::Tofu, 0, entries).judge(&info(9, "nine", &[]), None);
    assert!(matches!(refused, Err(CloseReason::Untrusted(Distrust::Full { .. }))));
}

#[test]
fn comments_faults_and_the_order_survive_a_change() {
    let text = format!(
        "# my peers\n\ntrusted {} alice # the laptop\nrubbish\nrevoked xyz\n\tpinned  {}\tbob\nrevoked {}\ntrusted {}\n",
        id(1),
        id(2).to_string().to_uppercase(),
        id(3),
        id(3)
    );
    let (mut known, faults) = KnownPeers::parse(text.as_bytes());
    assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [4, 5, 8], "{faults:?}");
    assert_eq!(known.format(), text.as_bytes());
    assert_eq!(known.get(&id(3)).map(|e| e.state), Some(TrustState::Revoked), "a second line does not undo a revocation");
    known.set(TrustEntry { added_s: Some(7), ..entry(TrustState::Revoked, 2, "bob") });
    known.set(entry(TrustState::Trusted, 4, ""));
    let changed = String::from_utf8(known.format()).expect("text");
    let lines: Vec<&str> = changed.lines().collect();
    assert_eq!(lines[..5], text.lines().collect::<Vec<_>>()[..5]);
    assert_eq!(lines[5], format!("revoked {} bob # since 7", id(2)));
    assert_eq!(lines.last(), Some(&format!("trusted {}", id(4)).as_str()));
    assert!(known.remove(&id(1)) && !known.remove(&id(1)));
}

#[test]
fn a_later_line_can_revoke_what_an_earlier_one_trusts() {
    let (known, faults) = KnownPeers::parse(format!("trusted {} a\nrevoked {} a", id(1), id(1)).as_bytes());
    assert_eq!((known.get(&id(1)).map(|e| e.state), faults.len()), (Some(TrustState::Revoked), 0));
}

#[test]
fn a_successor_takes_the_line_and_the_rank_of_the_key_before() {
    let (mut known, _) = KnownPeers::parse(format!("trusted {} alice\npinned {} two\n", id(1), id(2)).as_bytes());
    let standing = Standing { trusted: true, pin: true, moved_from: Some(id(1)) };
    known.admit(&info(8, "other", &[1]), &standing, 5);
    known.admit(&info(9, "two", &[2]), &Standing { moved_from: Some(id(2)), ..standing }, 6);
    let text = String::from_utf8(known.format()).expect("text");
    assert_eq!(text, format!("trusted {} alice # since 5\npinned {} two # since 6\n", id(8), id(9)));
}

#[test]
fn a_hostile_label_stays_on_its_line() {
    let label = " a\n# b\u{1b}[2J\u{202e}\\ ";
    let mut known = KnownPeers::default();
    known.set(entry(TrustState::Pinned, 1, label));
    let text = String::from_utf8(known.format()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.trim_end().chars().all(|c| c.is_ascii_graphic() || c == ' '), "{text}");
    assert_eq!(KnownPeers::parse(text.as_bytes()).0.get(&id(1)).map(|e| e.label.clone()), Some(label.to_owned()));
}

fn any_entry() -> impl Strategy<Value = TrustEntry> {
    let state = prop_oneof![Just(TrustState::Trusted), Just(TrustState::Pinned), Just(TrustState::Revoked)];
    (any::<[u8; 32]>(), state, "\\PC{0,40}|[\\s\\S]{1,40}", any::<Option<u64>>()).prop_map(|(key, state, label, added_s)| {
        let label = if state == TrustState::Pinned && label.is_empty() { "x".to_owned() } else { label };
        TrustEntry { peer: PeerId(key), state, label, added_s }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entries in proptest::collection::vec(any_entry(), 0..8)) {
        let mut known = KnownPeers::default();
        entries.into_iter().for_each(|entry| known.set(entry));
        let (again, faults) = KnownPeers::parse(&known.format());
        prop_assert_eq!((&again, faults.len()), (&known, 0));
    }

    #[test]
    fn any_bytes_are_read_and_written_back_as_they_were(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (known, _) = KnownPeers::parse(&bytes);
        let mut expected = bytes.clone();
        if !expected.is_empty() && !expected.ends_with(b"\n") {
            expected.push(b'\n');
        }
        prop_assert_eq!(known.format(), expected);
    }

    #[test]
    fn lines_that_are_not_understood_survive_a_change(text in "(#? ?[a-z \\\\{}]{0,20}\n){0,6}", entry in any_entry()) {
        let (mut known, _) = KnownPeers::parse(text.as_bytes());
        known.set(entry.clone());
        prop_assert!(known.format().starts_with(text.as_bytes()));
        known.remove(&entry.peer);
        prop_assert_eq!(known.format(), text.as_bytes());
    }
}
