//! The outbox fed with records of others: strict bytes, and a view that neither breaks nor grows past its caps.

use vixp2p::PeerId;
use vixp2p::base::{Incarnation, LogId, Time};
use vixp2p::outbox::{Body, OpId, Outbox, Outcome, Receipt, RetryPolicy, Target};

const ORIGINS: [PeerId; 3] = [PeerId([1; 32]), PeerId([2; 32]), PeerId([3; 32])];

fn log(choice: u8) -> LogId {
    LogId { origin: ORIGINS[usize::from(choice) % ORIGINS.len()], incarnation: Incarnation(1) }
}

/// Length, log, record, again and again.
pub(crate) fn outbox(input: &[u8]) {
    let mut node = Outbox::new(ORIGINS[0], &[], RetryPolicy::default(), 1);
    let (mut rest, mut seq, mut now) = (input, 0, 0);
    while let Some(([len, choice], tail)) = rest.split_first_chunk::<2>() {
        let (record, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        if let Ok(body) = Body::decode(record) {
            assert_eq!(body.encode(), record, "one encoding for each record");
        }
        seq += 1;
        node.record(log(*choice), seq, record);
        now += u64::from(*choice);
        for claimed in node.claim(Time::from_millis(now), 2) {
            assert_ne!(claimed.id.log.origin, ORIGINS[0], "what this node put is not for itself");
            let answered =
                if choice % 2 == 0 { node.done(&claimed.id) } else { node.fail(Time::from_millis(now), &claimed.id, false, "x") };
            assert_eq!(answered, Ok(()), "a claimed operation can be answered for");
        }
        for receipt in node.unwritten() {
            node.written(&receipt);
        }
        assert!(node.pull(ORIGINS[1], 4).len() <= 4);
    }
    let finished = node.finished();
    node.settle(&finished);
    assert!(node.finished().is_empty());
    node.list();
}

pub(crate) fn outbox_seeds() -> Vec<Vec<u8>> {
    let put = |target, key: &[u8]| Body::Put { target, kind: "k".into(), key: key.to_vec(), payload: vec![7; 9] };
    let id = |choice, seq| OpId { log: log(choice), seq };
    let receipt = |op, outcome| Body::Receipt(Receipt { op, key: b"key".to_vec(), outcome, attempts: 1, detail: "d".into() });
    let lives = [
        vec![(1, put(Target::Peer(ORIGINS[0]), b"key")), (1, put(Target::Peer(ORIGINS[0]), b"key")), (2, put(Target::All, b""))],
        vec![(0, put(Target::Peer(ORIGINS[1]), b"key")), (1, receipt(id(0, 1), Outcome::Done)), (0, Body::Settled(vec![id(0, 1)]))],
        vec![(2, put(Target::Peer(ORIGINS[1]), b"")), (1, receipt(id(2, 9), Outcome::Failed)), (2, Body::Settled(vec![id(2, 1)]))],
    ];
    let bytes = |life: &Vec<(u8, Body)>| {
        life.iter().flat_map(|(choice, body)| [&[body.encode().len() as u8, *choice], &body.encode()[..]].concat()).collect()
    };
    lives.iter().map(bytes).collect()
}
