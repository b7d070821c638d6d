//! Trust with real sockets and files: who is let in, who learns what, and what survives a restart.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use common::{Peer, config, eventually};
use vixp2p::base::close::Distrust;
use vixp2p::base::config::Psk;
use vixp2p::base::{CloseReason, TrustPolicy, TrustState};
use vixp2p::{Config, Endpoint, Event, PeerId};

fn with_policy(name: &str, policy: Option<TrustPolicy>, dir: Option<&Path>) -> Config {
    let mut config = config(name);
    config.trust = policy;
    config.data_dir = dir.map(Path::to_owned);
    config
}

fn open(name: &str) -> Peer {
    Peer::start(with_policy(name, Some(TrustPolicy::Open), None))
}

fn strict(name: &str) -> Peer {
    Peer::start(with_policy(name, Some(TrustPolicy::AllowList), None))
}

/// Both ends of a dial that is refused: what the dialler and the one who was dialled say.
fn refused(from: &mut Peer, to: &mut Peer) -> (CloseReason, CloseReason) {
    from.node.connect(to.endpoint()).expect("dials");
    (from.expect_connect_failed().0, to.expect_handshake_failed())
}

fn exchanges_records(a: &mut Peer, b: &mut Peer) {
    a.append(["record".to_owned()]);
    b.expect_log(a.node.own_log(), 1, 1);
}

#[test]
fn whoever_is_not_the_named_key_sees_a_hello_and_then_the_end() {
    let responder = open("responder");
    let between = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = between.local_addr().expect("bound").port();
    let mut dialler = open("dialler");
    dialler.node.connect_to(Endpoint::tcp("127.0.0.1", port), PeerId([7; 32])).expect("dials");
    let (mut near, _) = between.accept().expect("dialled");
    let mut far = std::net::TcpStream::connect(("127.0.0.1", responder.node.port())).expect("listens");
    let mut bytes = [0; 4096];
    let hello = near.read(&mut bytes).expect("a hello");
    far.write_all(&bytes[..hello]).expect("passed on");
    let ack = far.read(&mut bytes).expect("an answer");
    assert!(ack > 0, "the responder answers a whole hello");
    near.write_all(&bytes[..ack]).expect("passed back");
    assert_eq!(near.read(&mut bytes).unwrap_or(0), 0, "not a byte after the hello");
    let (reason, again) = dialler.expect_connect_failed();
    assert_eq!(reason, CloseReason::Untrusted(Distrust::Unexpected { wanted: PeerId([7; 32]), got: responder.id() }));
    assert!(again.is_some());
    assert_eq!(dialler.node.stats().bytes_sent, hello as u64);
}

#[test]
fn an_unknown_key_is_refused_by_the_dialler_and_by_the_dialled() {
    let (mut strict, mut stranger) = (strict("strict"), open("stranger"));
    let (here, there) = refused(&mut strict, &mut stranger);
    assert!(matches!(here, CloseReason::Untrusted(Distrust::Unlisted { .. })), "{here}");
    assert!(matches!(there, CloseReason::Lost(_)), "a dialler that goes says nothing: {there}");
    let (here, there) = refused(&mut stranger, &mut strict);
    assert_eq!(here, CloseReason::Untrusted(Distrust::Told), "the dialled one says so by an authenticated close");
    assert!(matches!(there, CloseReason::Untrusted(Distrust::Unlisted { .. })), "{there}");
    assert!(!stranger.has_seen(|e| matches!(e, Event::PeerConnected { .. })));
}

#[test]
fn a_changed_key_is_refused_by_the_dialler_and_by_the_dialled_and_told() {
    let (mut a, mut b, mut imposter) = (Peer::named("a"), Peer::named("b"), open("b"));
    a.join(&mut b);
    let (here, there) = refused(&mut a, &mut imposter);
    assert!(matches!(here, CloseReason::Untrusted(Distrust::Changed { .. })), "{here}");
    assert!(matches!(there, CloseReason::Lost(_)), "{there}");
    let (here, there) = refused(&mut imposter, &mut a);
    assert_eq!(here, CloseReason::Untrusted(Distrust::Told));
    assert!(matches!(there, CloseReason::Untrusted(Distrust::Changed { .. })), "{there}");
    for _ in 0..2 {
        let told = a.expect("IdentityChanged", |e| match e {
            Event::IdentityChanged { peer, former, node_id, .. } => Some((*peer, *former, node_id.clone())),
            _ => None,
        });
        assert_eq!(told, (imposter.id(), b.id(), "b".to_owned()));
    }
}

#[test]
fn a_revoked_key_is_refused_by_the_dialler_and_by_the_dialled_and_loses_its_link() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    a.join(&mut b);
    a.node.revoke(b.id()).expect("in memory");
    assert!(matches!(a.expect_disconnected(), CloseReason::Revoked(_)));
    let told = b.expect_disconnected();
    assert!(matches!(&told, CloseReason::Revoked(why) if why.contains("the peer has revoked")), "{told}");
    let (here, there) = refused(&mut a, &mut b);
    assert!(matches!(here, CloseReason::Revoked(_)), "{here}");
    assert!(matches!(there, CloseReason::Lost(_)), "{there}");
    let (here, there) = refused(&mut b, &mut a);
    assert!(matches!(here, CloseReason::Revoked(_)) && matches!(there, CloseReason::Revoked(_)), "{here}, {there}");
    a.node.trust(b.id(), "").expect("in memory");
    a.join(&mut b);
}

#[test]
fn open_nodes_exchange_messages_and_no_records_until_both_trust_the_other() {
    let (mut a, mut b) = (open("a"), open("b"));
    a.append(["secret".to_owned()]);
    a.join(&mut b);
    let (id_a, id_b) = (a.id(), b.id());
    for (peer, other) in [(&mut a, id_b), (&mut b, id_a)] {
        let declined = peer.expect("SyncDeclined", |e| if let Event::SyncDeclined { peer, .. } = e { Some(*peer) } else { None });
        assert_eq!(declined, other);
    }
    a.send(id_b, b"hello");
    assert_eq!(b.receive(1)[0], "hello");
    a.node.trust(b.id(), "bob").expect("in memory");
    a.expect("TrustChanged", |e| matches!(e, Event::TrustChanged { trusted: true, .. }).then_some(()));
    // A message after the vector: had it been taken in, the log would be there now.
    a.send(id_b, b"again");
    assert_eq!(b.receive(1)[0], "again");
    assert_eq!(b.node.logs().len(), 1, "one side is not enough");
    b.node.trust(a.id(), "alice").expect("in memory");
    exchanges_records(&mut a, &mut b);
    exchanges_records(&mut b, &mut a);
    assert!(a.node.peers()[0].trusted);
}

#[test]
fn without_a_policy_a_pre_shared_key_means_tofu_and_its_absence_open() {
    assert_eq!(Peer::open(with_policy("n", None, None)).node.trust_policy(), TrustPolicy::Open);
    let with_psk = |name| {
        let mut config = with_policy(name, None, None);
        config.psk = Some(Psk::new([5; 32]));
        Peer::start(config)
    };
    let (mut a, mut b) = (with_psk("a"), with_psk("b"));
    assert_eq!(a.node.trust_policy(), TrustPolicy::Tofu);
    a.join(&mut b);
    exchanges_records(&mut a, &mut b);
}

#[test]
fn a_pin_is_on_disk_when_the_peer_is_connected_and_holds_after_a_restart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let start = || Peer::start(with_policy("a", Some(TrustPolicy::Tofu), Some(dir.path())));
    let mut b = Peer::named("b");
    let mut a = start();
    a.join(&mut b);
    let text = fs::read_to_string(dir.path().join("known_peers")).expect("written");
    assert!(text.starts_with(&format!("pinned {} b # since ", b.id())), "{text}");
    let pinned = a.expect("PeerPinned", |e| if let Event::PeerPinned { peer, former, .. } = e { Some((*peer, *former)) } else { None });
    assert_eq!(pinned, (b.id(), None));
    a.node.stop_blocking();
    drop(a);
    let mut a = start();
    let mut imposter = open("b");
    let (_, there) = refused(&mut imposter, &mut a);
    assert!(matches!(there, CloseReason::Untrusted(Distrust::Changed { .. })), "{there}");
    a.join(&mut b);
}

#[test]
fn a_peer_that_cannot_be_pinned_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut a = Peer::start(with_policy("a", Some(TrustPolicy::Tofu), Some(dir.path())));
    fs::create_dir(dir.path().join("known_peers.new")).expect("in the way of the new file");
    let mut b = Peer::named("b");
    let (here, there) = refused(&mut b, &mut a);
    assert_eq!(here, CloseReason::Untrusted(Distrust::Told));
    assert!(matches!(there, CloseReason::Untrusted(Distrust::Unpinned { .. })), "{there}");
    a.expect("KnownPeersFaulty", |e| matches!(e, Event::KnownPeersFaulty { .. }).then_some(()));
    fs::remove_dir(dir.path().join("known_peers.new")).expect("out of the way");
    a.expect_connected();
}

#[test]
fn keys_can_be_settled_before_the_start_and_edited_while_the_node_runs() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut b = open("b");
    let mut a = Peer::open(with_policy("a", Some(TrustPolicy::AllowList), Some(dir.path())));
    a.node.trust(b.id(), "bob").expect("written");
    b.node.trust(a.id(), "").expect("in memory");
    let listed: Vec<_> = a.node.trusted().into_iter().map(|e| (e.peer, e.state, e.label)).collect();
    assert_eq!(listed, [(b.id(), TrustState::Trusted, "bob".to_owned())]);
    a.node.start().expect("starts");
    a.join(&mut b);
    exchanges_records(&mut a, &mut b);
    fs::write(dir.path().join("known_peers"), format!("# gone\nnonsense\nrevoked {}\n", b.id())).expect("edited");
    a.node.reload_trust().expect("readable");
    assert!(matches!(a.expect_disconnected(), CloseReason::Revoked(_)));
    let fault = a.expect("KnownPeersFaulty", |e| if let Event::KnownPeersFaulty { detail } = e { Some(detail.clone()) } else { None });
    assert!(fault.contains("line 2"), "{fault}");
    assert!(a.node.forget(b.id()).expect("written") && !a.node.forget(b.id()).expect("nothing to do"));
    assert_eq!(fs::read_to_string(dir.path().join("known_peers")).expect("text"), "# gone\nnonsense\n");
}

#[test]
fn a_dial_by_key_is_enough_for_a_pinned_node_and_not_for_an_allow_list() {
    let mut b = open("b");
    let mut pinned = Peer::start(with_policy("pinned", Some(TrustPolicy::Pinned), None));
    pinned.node.connect_to(b.endpoint(), b.id()).expect("dials");
    pinned.expect_connected();
    assert!(pinned.node.peers()[0].trusted);
    let mut strict = strict("strict");
    strict.node.connect_to(b.endpoint(), b.id()).expect("dials");
    assert!(matches!(strict.expect_connect_failed().0, CloseReason::Untrusted(Distrust::Unlisted { .. })));
    strict.node.trust(b.id(), "").expect("in memory");
    eventually("the next attempt", || strict.node.stats().peers_connected == 1);
    b.expect_connected();
}
