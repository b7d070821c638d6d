//! Groups that come from others.

use bytes::Bytes;

use super::{Key, assert_holds, key, log_of, open, payload, payloads};
use crate::base::Incarnation;
use crate::base::limits;
use crate::sync::segment::{fork_path, log_dir};
use crate::sync::{Group, GroupError, MemStorage, StoreError, Stored, Wal, WalError, encode_group, log_head};

fn all(verdict: Stored, count: usize) -> Vec<Result<Stored, StoreError>> {
    vec![Ok(verdict); count]
}

/// Three groups of two records of node 2.
fn groups_of_two() -> Vec<Group> {
    let mut wal = open(MemStorage::new(), 2);
    [1, 3, 5].into_iter().flat_map(|first| wal.append(1, &payloads(first, 2, 10)).expect("memory")).collect()
}

#[test]
fn groups_are_stored_once_whatever_the_order_and_number_of_pushes() {
    let groups = groups_of_two();
    let mut wal = open(MemStorage::new(), 1);
    assert_eq!(wal.store(&groups[1..2]), [Err(StoreError::Gap { have: 0 })]);
    assert_eq!(wal.states().len(), 1, "a log of which nothing was stored is not kept");
    let twice = [groups[0].clone(), groups[1].clone(), groups[0].clone(), groups[1].clone(), groups[2].clone()];
    let verdicts = wal.store(&twice);
    assert_eq!(verdicts, [Ok(Stored::New), Ok(Stored::New), Ok(Stored::Duplicate), Ok(Stored::Duplicate), Ok(Stored::New)]);
    assert_eq!(wal.store(&groups), all(Stored::Duplicate, 3));
    assert_holds(&open(wal.storage().clone(), 1), log_of(2, 1), 6, 10);
}

#[test]
fn a_gap_names_what_is_here() {
    let groups = groups_of_two();
    let mut wal = open(MemStorage::new(), 1);
    let verdicts = wal.store(&[groups[0].clone(), groups[2].clone()]);
    assert_eq!(verdicts, [Ok(Stored::New), Err(StoreError::Gap { have: 2 })]);
}

#[test]
fn a_false_seal_and_a_broken_chain_are_refused_by_name() {
    let (log, mut wal) = (log_of(2, 1), open(MemStorage::new(), 1));
    let forged = encode_group(log, &log_head(&log), 1, 0, &payloads(1, 2, 10), key(3).as_ref()).0;
    let refused = wal.store(&[forged]).remove(0).expect_err("forged");
    assert_eq!(refused, StoreError::BadGroup(GroupError::Signature { first: 1, last: 2 }));
    assert!(refused.blames_peer());
    let stray = encode_group(log, &[1; 32], 1, 0, &payloads(1, 2, 10), key(2).as_ref()).0;
    assert_eq!(wal.store(&[stray]), [Err(StoreError::BadGroup(GroupError::Chain { first: 1, last: 2 }))]);
    assert_eq!(wal.durable(log), 0);
}

#[test]
fn a_bad_group_does_not_take_the_good_ones_before_it_along() {
    let mut groups = groups_of_two();
    let mut bytes = groups[1].bytes.to_vec();
    bytes[30] ^= 1;
    groups[1].bytes = bytes.into();
    let mut wal = open(MemStorage::new(), 1);
    let verdicts = wal.store(&groups);
    assert_eq!(verdicts[0], Ok(Stored::New));
    assert!(matches!(verdicts[1], Err(StoreError::BadGroup(GroupError::Record { .. }))));
    assert_eq!(verdicts[2], Err(StoreError::Gap { have: 2 }));
}

/// Another history of node 2: the same up to record 2, then different.
fn other_history() -> Vec<Group> {
    let mut wal = open(MemStorage::new(), 2);
    let mut groups = wal.append(1, &payloads(1, 2, 10)).expect("memory");
    groups.extend(wal.append(1, &[payload(3, 10), Bytes::from_static(b"different")]).expect("memory"));
    groups
}

#[test]
fn two_sealed_histories_freeze_the_log_for_good_and_both_are_kept() {
    let (groups, fork) = (groups_of_two(), other_history());
    let log = log_of(2, 1);
    let mut wal = open(MemStorage::new(), 1);
    assert_eq!(wal.store(&groups[..2]), all(Stored::New, 2));
    assert_eq!(wal.store(&fork), [Ok(Stored::Duplicate), Err(StoreError::Fork { seq: 4 })]);
    assert_eq!(wal.store(&groups), [Ok(Stored::Duplicate), Ok(Stored::Duplicate), Err(StoreError::Fork { seq: 4 })]);
    let mut disk = wal.storage().clone();
    assert_eq!(disk.files_mut()[&fork_path(&log_dir(&log), 4)], fork[1].bytes);
    let mut wal = open(disk, 1);
    assert_eq!(wal.store(&groups[2..]), [Err(StoreError::Fork { seq: 4 })]);
    assert_holds(&wal, log, 4, 10);
    assert!(wal.append(0, &[payload(1, 10)]).is_ok(), "other logs go on");
}

#[test]
fn a_sealed_group_that_does_not_follow_what_is_here_is_not_stored_and_nobody_is_blamed() {
    let (groups, mut elsewhere) = (groups_of_two(), open(MemStorage::new(), 2));
    elsewhere.append(1, &payloads(1, 1, 10)).expect("memory");
    elsewhere.append(1, &[Bytes::from_static(b"another second record")]).expect("memory");
    let later = elsewhere.append(1, &payloads(3, 2, 10)).expect("memory");
    let mut wal = open(MemStorage::new(), 1);
    assert_eq!(wal.store(&groups[..1]), all(Stored::New, 1));
    let refused = wal.store(&later).remove(0).expect_err("another history");
    assert_eq!((refused.blames_peer(), refused), (false, StoreError::Diverged { have: 2 }));
    assert_eq!(wal.store(&groups[1..]), all(Stored::New, 2), "the log goes on from whoever has its history");
}

#[test]
fn altered_records_under_a_genuine_seal_are_a_forgery_and_no_fork() {
    let groups = groups_of_two();
    let mut wal = open(MemStorage::new(), 1);
    assert_eq!(wal.store(&groups), all(Stored::New, 3));
    let fork = other_history();
    let seal = groups[1].bytes.len() - crate::sync::record::SEAL_BYTES;
    let false_seal = fork[1].bytes.len() - crate::sync::record::SEAL_BYTES;
    let bytes = [&fork[1].bytes[..false_seal], &groups[1].bytes[seal..]].concat();
    let verdict = wal.store(&[Group { bytes: bytes.into(), ..groups[1].clone() }]);
    assert_eq!(verdict, [Err(StoreError::BadGroup(GroupError::Chain { first: 3, last: 4 }))]);
    let unsigned = encode_group(log_of(2, 1), &[0; 32], 3, 0, &payloads(3, 2, 10), key(9).as_ref()).0;
    assert!(matches!(wal.store(&[unsigned])[0], Err(StoreError::BadGroup(GroupError::Signature { .. }))));
    assert_eq!(wal.store(&groups), all(Stored::Duplicate, 3), "nobody but the origin can freeze its log");
}

#[test]
fn own_records_from_elsewhere_prove_a_rollback_and_renewing_takes_them_back() {
    let mut wal = open(MemStorage::new(), 1);
    let first = wal.append(1, &payloads(1, 2, 10)).expect("memory");
    let copy = wal.storage().clone();
    let later = wal.append(1, &payloads(3, 2, 10)).expect("memory");
    let mut restored = open(copy, 1);
    assert_eq!(restored.store(&first), [Ok(Stored::Duplicate)]);
    let forged = encode_group(log_of(1, 1), &[0; 32], 3, 0, &payloads(3, 2, 10), key(2).as_ref()).0;
    assert!(matches!(restored.store(&[forged])[0], Err(StoreError::BadGroup(GroupError::Signature { .. }))));
    assert_eq!(restored.store(&later), [Err(StoreError::Rollback { have: 2, claimed: 4 })]);
    assert!(matches!(restored.renew(Incarnation(1)), Err(WalError::IncarnationTaken(_))));
    assert_eq!(restored.renew(Incarnation(2)).expect("memory"), log_of(1, 2));
    assert_eq!(restored.store(&later), [Ok(Stored::New)]);
    restored.append(2, &payloads(1, 1, 10)).expect("memory");
    let again = open(restored.storage().clone(), 1);
    assert_eq!(again.own(), log_of(1, 2));
    assert_holds(&again, log_of(1, 1), 4, 10);
    assert_holds(&again, log_of(1, 2), 1, 10);
    assert_eq!(again.applied(log_of(1, 1)), 4, "a node has applied what it wrote");
}

#[test]
fn numbers_written_twice_after_a_rollback_are_noticed_too() {
    let mut wal = open(MemStorage::new(), 1);
    let mut restored = open(MemStorage::new(), 1);
    let theirs = wal.append(1, &payloads(1, 2, 10)).expect("memory");
    restored.append(1, &payloads(7, 2, 10)).expect("memory");
    assert_eq!(restored.store(&theirs), [Err(StoreError::Rollback { have: 2, claimed: 2 })]);
}

#[test]
fn no_more_logs_are_kept_than_the_limit() {
    let mut wal = open(MemStorage::new(), 1);
    let signer = key(2);
    let group_in = |n: u64| {
        let log = log_of(2, n);
        encode_group(log, &log_head(&log), 1, 0, &[Bytes::new()], signer.as_ref()).0
    };
    let groups: Vec<Group> = (1..=limits::LOGS_MAX as u64).map(group_in).collect();
    let verdicts = wal.store(&groups);
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), limits::LOGS_MAX - 1, "one place is the own log's");
    assert_eq!(wal.store(&[group_in(1 << 40)]), [Err(StoreError::TooManyLogs { max: limits::LOGS_MAX })]);
}

#[test]
fn the_cursor_follows_the_application_and_never_runs_ahead_or_back() {
    let mut wal = open(MemStorage::new(), 1);
    let log = log_of(2, 1);
    assert!(matches!(wal.set_applied(log, 1), Err(WalError::UnknownLog(_))));
    wal.store(&groups_of_two());
    wal.set_applied(log, 4).expect("memory");
    wal.set_applied(log, 3).expect("ignored");
    assert!(matches!(wal.set_applied(log, 7), Err(WalError::AheadOfLog { seq: 7, durable: 6, .. })));
    let wal = open(wal.storage().clone(), 1);
    assert_eq!((wal.applied(log), wal.durable(log)), (4, 6));
}

#[test]
fn a_wal_can_be_sent_to_the_thread_that_serves_it() {
    fn sendable<T: Send>() {}
    sendable::<Wal<MemStorage>>();
    sendable::<Key>();
}
