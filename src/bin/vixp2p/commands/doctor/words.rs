//! What each reason means to a person, and what to do about it. Never looks at anything itself.

use vixp2p::PeerId;
use vixp2p::base::CloseReason;
use vixp2p::base::close::Distrust;

use super::Finding;

/// What is wrong with `endpoint`, where an attempt ended so. `own` is the key that dialled.
pub(crate) fn failed(endpoint: &str, reason: &CloseReason, own: Option<PeerId>) -> Finding {
    let (cause, advice) = explain(reason, own);
    Finding::bad(endpoint, cause, reason.to_string(), advice)
}

/// A stable name for the cause and what to do.
fn explain(reason: &CloseReason, own: Option<PeerId>) -> (&'static str, String) {
    let advice = match reason {
        CloseReason::Refused(why) if is_no_route(why) => {
            let advice = "this machine knows no way there: see that its interface is up and that a route leads to that address";
            return ("no_route", advice.into());
        }
        CloseReason::Refused(why) if why.contains("No such file") => {
            return ("no_socket", "no node listens on that Unix socket: start it with --listen on the same path".into());
        }
        CloseReason::Refused(_) => {
            "nobody listens there: see that the node runs, that this is the port of its --listen, and that it does not listen on 127.0.0.1 only"
        }
        CloseReason::Unresolved(_) => {
            return ("dns", "the name has no address: mind its spelling, ask the name server, or use the address".into());
        }
        CloseReason::Timeout => {
            "whatever is there does not answer: a firewall drops what is sent, the machine is off, or the port is of another program"
        }
        CloseReason::Lost(why) if why.contains("during the handshake") => {
            let advice = "most likely the pre-shared keys differ: compare the files of --psk-file on both sides (one without any counts as \
                          different); else its own log, or doctor there, says why";
            return ("psk_or_handshake", advice.into());
        }
        CloseReason::Lost(_) => "the other side ended it without a word: its own log, or doctor there, says why",
        CloseReason::Stale => "the network swallows what is sent, or the other machine hangs",
        CloseReason::Shutdown => "this node is stopping",
        CloseReason::Disconnected => "it was asked for; connect again",
        CloseReason::Duplicate => "none is needed: it is connected by another link",
        CloseReason::MaxPeers => "it has as many peers as it admits: raise its max_peers, or disconnect others there",
        CloseReason::Untrusted(distrust) => return ("untrusted", distrusted(distrust, own)),
        CloseReason::Revoked(_) => "a revoked key is refused for good; to take that back: vixp2p trust add KEY, or trust forget KEY",
        CloseReason::BadVersion(_) => {
            return ("version", "the two programs speak different protocols: bring the older one up to date".into());
        }
        CloseReason::Busy => "many connect to it at once; wait",
        CloseReason::SelfConnect => "that address is this node's own: leave it out of --connect",
        CloseReason::HandshakeFailed(_) => {
            let advice = "most likely the pre-shared keys differ: compare the files of --psk-file on both sides (one without any counts as different)";
            return ("psk_or_handshake", advice.into());
        }
        CloseReason::BadRecord(_) | CloseReason::Protocol(_) | CloseReason::FrameTooLarge { .. } => {
            "what came breaks the protocol: something between the two alters bytes, or the other program has a fault"
        }
        CloseReason::SlowReader => "the other side takes nothing in: it hangs, or its application is too slow",
    };
    (reason.name(), advice.to_owned())
}

fn is_no_route(why: &str) -> bool {
    ["unreachable", "No route", "Network is down"].iter().any(|words| why.contains(words))
}

fn distrusted(distrust: &Distrust, own: Option<PeerId>) -> String {
    match distrust {
        Distrust::Told => match own {
            Some(own) => format!("there: vixp2p trust add {own} --data DIR"),
            None => "there: vixp2p trust add with this node's key, which vixp2p key show prints".into(),
        },
        Distrust::Unlisted { peer, .. } => format!("here, if the key is right: vixp2p trust add {peer} --data DIR"),
        Distrust::Unexpected { .. } => {
            "the key behind # or in the invite is not the one of that node: ask its owner for the right one".into()
        }
        Distrust::Changed { pinned, .. } => format!("if the node has a new key, here: vixp2p trust forget {pinned} --data DIR"),
        Distrust::Full { .. } => "here: vixp2p trust forget for keys that are not needed".into(),
        Distrust::Unpinned { .. } => "see that the disk of --data is not full or read-only".into(),
        Distrust::Withdrawn { peer } => format!("here, if that was wrong: vixp2p trust add {peer} --data DIR"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_cause_and_says_what_to_do() {
        let key = PeerId([7; 32]);
        let text = String::new;
        let reasons = [
            CloseReason::Refused("Connection refused (os error 111)".into()),
            CloseReason::Refused("Network is unreachable (os error 101)".into()),
            CloseReason::Refused("No such file or directory (os error 2)".into()),
            CloseReason::Unresolved(text()),
            CloseReason::Timeout,
            CloseReason::Lost("reset".into()),
            CloseReason::Stale,
            CloseReason::Shutdown,
            CloseReason::Disconnected,
            CloseReason::Duplicate,
            CloseReason::MaxPeers,
            CloseReason::Untrusted(Distrust::Told),
            CloseReason::Revoked(text()),
            CloseReason::BadVersion(text()),
            CloseReason::Busy,
            CloseReason::SelfConnect,
            CloseReason::HandshakeFailed(text()),
            CloseReason::BadRecord(text()),
            CloseReason::Protocol(text()),
            CloseReason::FrameTooLarge { got: 2, max: 1 },
            CloseReason::SlowReader,
        ];
        let causes: Vec<&str> = reasons.iter().map(|reason| explain(reason, Some(key)).0).collect();
        let known: std::collections::BTreeSet<&&str> = causes.iter().collect();
        assert_eq!(known.len(), causes.len(), "{causes:?}");
        assert!(reasons.iter().all(|reason| !explain(reason, None).1.is_empty()));
        assert!(failed("h:1", &reasons[11], Some(key)).advice.contains(&key.to_string()));
    }
}
