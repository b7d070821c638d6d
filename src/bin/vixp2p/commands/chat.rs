//! `--chat`: a person at the node. A line of standard input is a message to every peer, or, with a slash, an order; what peers say
//! comes to stdout. Never decides who hears what: that is the node's part.

use std::io::{self, BufRead};

use tokio::sync::mpsc::{self, Receiver};
use vixp2p::base::{Event, PeerState};
use vixp2p::{Node, PeerId};

use crate::args::Whom;
use crate::failure::Failure;
use crate::line;

/// Lines that may wait for the node; a faster writer waits itself.
const WAITING_MAX: usize = 64;
const HELP: &str = "a line is a message to everybody; /send KEY TEXT, /peers, /connect PEER, /discover, /help, /quit";

/// What a line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Say(String),
    /// To one, connected or not.
    Send(PeerId, String),
    Peers,
    Connect(Whom),
    Discover,
    Quit,
    /// Nothing that can be done; what to answer.
    Answer(String),
}

/// Lines of standard input, read by a thread of their own, since a read cannot be called off.
pub(crate) fn lines() -> Result<Receiver<String>, Failure> {
    let (tell, told) = mpsc::channel(WAITING_MAX);
    let read = move || {
        // An unreadable input has ended as well.
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("vixp2p-stdin".into()).spawn(read).map_err(Failure::io("reading standard input"))?;
    Ok(told)
}

pub(crate) fn order(line: &str) -> Order {
    let Some(words) = line.strip_prefix('/') else { return Order::Say(line.to_owned()) };
    let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
    match (name, rest.trim()) {
        ("peers", "") => Order::Peers,
        ("discover", "") => Order::Discover,
        ("quit", "") => Order::Quit,
        ("help", "") => Order::Answer(HELP.to_owned()),
        ("send", rest) => match rest.split_once(' ').map(|(peer, text)| (crate::args::key(peer), text.trim_start())) {
            Some((Ok(peer), text)) => Order::Send(peer, text.to_owned()),
            Some((Err(why), _)) => Order::Answer(format!("cannot send: {why}")),
            None => Order::Answer("cannot send: after /send come a key, a blank and the message".to_owned()),
        },
        ("connect", peer) => match crate::args::whom(peer) {
            Ok(whom) => Order::Connect(whom),
            Err(why) => Order::Answer(format!("cannot connect to \"{peer}\": {why}")),
        },
        _ => Order::Answer(format!("no such order: /{words}; {HELP}")),
    }
}

/// What is answered to a message: nothing if somebody was told.
pub(crate) fn say(node: &Node, text: &str) -> Option<String> {
    match node.broadcast(text.as_bytes()) {
        Ok(0) => Some("nobody is connected".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// What is answered to a message to one peer: nothing yet if it is under way.
pub(crate) fn send(node: &Node, to: PeerId, text: &str) -> Option<String> {
    node.send_to(to, text.as_bytes(), None).err().map(|error| error.to_string())
}

/// Everybody the node knows of, one a line.
pub(crate) fn peers(node: &Node) -> Vec<String> {
    let peers = node.peers();
    let connected = peers.iter().filter(|peer| peer.state == PeerState::Connected).count();
    let line = |peer: &vixp2p::mesh::PeerSnapshot| {
        let id = peer.id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        format!("{} {} {id} {}", peer.state, peer.endpoint, line::escape(peer.node_id.as_bytes()))
    };
    std::iter::once(format!("{connected} connected")).chain(peers.iter().map(line)).collect()
}

/// Who announces itself on the own networks or was named by the registry; the network is looked at anew as well.
pub(crate) fn discover(node: &Node) -> Vec<String> {
    if let Err(error) = node.network_changed() {
        return vec![error.to_string()];
    }
    let heard =
        node.discovered().into_iter().map(|found| format!("announced {} {}", found.endpoint, line::escape(found.node_id.as_bytes())));
    let named =
        node.bootstrap_peers().into_iter().map(|peer| format!("named {} {}", peer.endpoint(), line::escape(peer.node_id.as_bytes())));
    let all: Vec<String> = heard.chain(named).collect();
    if all.is_empty() { vec!["nobody announces itself, and no registry names anybody".to_owned()] } else { all }
}

/// What a peer said, a message a line, under the label it gave itself; and what became of messages to one.
pub(crate) fn heard(node: &Node, event: Event) -> Vec<String> {
    if super::send::end_of(&event).is_some() {
        return vec![event.to_string()];
    }
    let Event::Data { peer: from, mut batch } = event else { return Vec::new() };
    let label = node.peers().into_iter().find(|peer| peer.id == Some(from)).map_or_else(|| from.short(), |peer| peer.node_id);
    let label = line::escape(label.as_bytes());
    std::iter::from_fn(|| batch.pop_front()).map(|message| format!("{label}: {}", line::escape(&message))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_and_an_order_begins_with_a_slash() {
        assert_eq!(order("hello /peers"), Order::Say("hello /peers".into()));
        assert_eq!(order(""), Order::Say(String::new()));
        assert_eq!(order("/peers"), Order::Peers);
        assert_eq!(order("/quit"), Order::Quit);
        assert!(matches!(order("/connect 127.0.0.1:9001"), Order::Connect(Whom::Endpoint(_))));
        let key = "ab".repeat(32);
        assert_eq!(order(&format!("/send {key} hello  you ")), Order::Send(PeerId([0xab; 32]), "hello  you".into()));
        for wrong in ["/", "/pears", "/quit now", "/connect", "/connect nohost", "/send", "/send bert hello", &format!("/send {key}")] {
            assert!(matches!(order(wrong), Order::Answer(_)), "{wrong}");
        }
    }
}
