//! Nodes and registries over real sockets: what a node asks, what it makes of answers, and registries that mean it ill.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{PATIENCE, Peer, config, eventually, now};
use socket2::{Domain, Socket, Type};
use vixp2p::base::bootstrap::Token;
use vixp2p::base::config::Listen;
use vixp2p::base::{BootstrapConfig, BootstrapMode, Level};
use vixp2p::{Config, Node};

const EMPTY: &str = r#"{"peers":[]}"#;

/// Reads one request and its body, if the client sends one to the end.
fn request(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().expect("a number"));
            if body.len() >= length {
                return Some(text);
            }
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&piece[..count]).ok()?);
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A registry that answers each request with what `answer` says until the test ends, and tells the requests.
fn registry(listener: TcpListener, mut answer: impl FnMut(&str) -> String + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let address = listener.local_addr().expect("bound");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = request(&mut stream) else { continue };
            // A client that has heard enough may close first.
            let _ = stream.write_all(answer(&request).as_bytes());
            if tell.send(request).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// Settings with pauses a test can wait for.
fn asking(name: &str, url: &str) -> (Config, BootstrapConfig) {
    let mut bootstrap = BootstrapConfig::new(url.parse().expect("an address"));
    bootstrap.poll_interval = Duration::from_millis(20);
    bootstrap.backoff_max = Duration::from_millis(100);
    (config(name), bootstrap)
}

fn started(config: Config, bootstrap: BootstrapConfig) -> (Peer, Receiver<String>) {
    let peer = Peer::open(Config { bootstrap: Some(bootstrap), ..config });
    let lines = lines_of(&peer.node);
    peer.node.start().expect("starts");
    (peer, lines)
}

fn lines_of(node: &Node) -> Receiver<String> {
    let (tell, lines) = channel();
    node.on_log(Level::Debug, move |_, line| drop(tell.send(line.to_owned())));
    lines
}

fn wait_for(lines: &Receiver<String>, what: &str) -> String {
    let (begin, mut last) = (now(), String::new());
    while begin.elapsed() < PATIENCE
        && let Ok(line) = lines.recv_timeout(PATIENCE)
    {
        if line.contains(what) {
            return line;
        }
        last = line;
    }
    panic!("no line: {what}; the last one: {last}")
}

#[test]
fn a_node_announces_itself_with_its_token_and_then_asks() {
    let (address, requests) = registry(any_port(), |_| ok(EMPTY));
    let (config, mut bootstrap) = asking("node-a", &format!("http://{address}/base/"));
    bootstrap.mode = BootstrapMode::PullAndAnnounce;
    bootstrap.token = Some(Token::new("open-sesame").expect("visible"));
    bootstrap.announce_host = Some("node-a.example".into());
    let (node, _) = started(config, bootstrap);
    let announcement = requests.recv_timeout(PATIENCE).expect("announced");
    let body = format!(
        r#"{{"node_id":"node-a","tcp_port":{},"cap":{{"proto":"1.0","transport":"tcp"}},"host":"node-a.example"}}"#,
        node.node.port()
    );
    assert!(announcement.starts_with("POST /base/announce HTTP/1.1\r\n") && announcement.ends_with(&body), "{announcement}");
    let question = requests.recv_timeout(PATIENCE).expect("asked");
    assert!(question.starts_with("GET /base/peers?limit=20 HTTP/1.1\r\n"), "{question}");
    for request in [announcement, question] {
        assert!(
            request.contains("authorization: Bearer open-sesame\r\n") && request.contains(&format!("host: {address}\r\n")),
            "{request}"
        );
    }
}

#[test]
fn a_node_meets_whom_the_registry_names_and_passes_over_what_makes_no_sense() {
    let mut other = Peer::named("other");
    let port = other.node.port();
    let list = format!(
        r#"{{"peers":[7,null,{{"host":1,"tcp_port":2}},{{"host":"127.0.0.1","tcp_port":"9"}},{{"node_id":"other","host":"127.0.0.1","tcp_port":{port}}}]}}"#
    );
    let (address, _requests) = registry(any_port(), move |_| ok(&list));
    let (config, bootstrap) = asking("asker", &format!("http://{address}"));
    let (mut node, _) = started(config, bootstrap);
    node.expect_connected();
    other.expect_connected();
    let named = node.node.bootstrap_peers();
    assert_eq!(named.iter().map(|peer| (peer.node_id.as_str(), peer.tcp_port)).collect::<Vec<_>>(), [("other", port)]);
    assert_eq!(node.node.stats().connect_attempts, 1, "an endpoint that is kept is not dialled again");
}

#[test]
fn a_node_that_does_not_dial_still_learns_and_is_found() {
    let (address, requests) = registry(any_port(), |_| ok(r#"{"peers":[{"host":"127.0.0.1","tcp_port":1}]}"#));
    let (mut config, mut bootstrap) = asking("listener", &format!("http://{address}"));
    config.dial = false;
    bootstrap.mode = BootstrapMode::PullAndAnnounce;
    let (node, _) = started(config, bootstrap);
    eventually("peers", || !node.node.bootstrap_peers().is_empty());
    assert!(requests.recv_timeout(PATIENCE).expect("asked").starts_with("POST /announce"));
    assert_eq!(node.node.stats().connect_attempts, 0);
}

#[test]
fn a_node_announces_the_port_it_is_told_to_even_if_it_does_not_listen() {
    let (address, requests) = registry(any_port(), |_| ok(EMPTY));
    let (mut config, mut bootstrap) = asking("behind", &format!("http://{address}"));
    (config.listen, config.announce_port) = (Listen::Off, Some(4711));
    bootstrap.mode = BootstrapMode::PullAndAnnounce;
    let (_node, _) = started(config, bootstrap);
    let announcement = requests.recv_timeout(PATIENCE).expect("announced");
    assert!(announcement.contains(r#""tcp_port":4711,"#), "{announcement}");
}

#[test]
fn a_node_without_its_registry_asks_ever_more_rarely_and_finds_it_when_it_is_back() {
    // Bound and not listening: connections are refused, and nobody else gets the port.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    let (config, bootstrap) = asking("asker", &format!("http://{address}"));
    let (mut node, lines) = started(config, bootstrap);
    for _ in 0..3 {
        wait_for(&lines, "no peers learned: no connection to 127.0.0.1");
    }
    let mut other = Peer::named("other");
    let list = format!(r#"{{"peers":[{{"node_id":"other","host":"127.0.0.1","tcp_port":{}}}]}}"#, other.node.port());
    socket.listen(16).expect("listens");
    let (_, _requests) = registry(socket.into(), move |_| ok(&list));
    wait_for(&lines, "1 peers named");
    node.expect_connected();
    other.expect_connected();
}

/// A listener whose first client gets `begin` and then a byte at a time for as long as it reads; the time it had patience.
fn dripping(begin: &'static str) -> (SocketAddr, Receiver<()>) {
    let listener = any_port();
    let address = listener.local_addr().expect("bound");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("asked");
        request(&mut stream).expect("asked");
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("settable");
        stream.write_all(begin.as_bytes()).expect("sent");
        let mut piece = [0; 4096];
        // Waiting for the client's end is what paces the bytes.
        loop {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Err(e) if !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                _ if stream.write_all(b" ").is_err() => break,
                _ => {}
            }
        }
        let _ = tell.send(());
    });
    (address, told)
}

#[test]
fn a_registry_that_drips_its_answer_is_left_in_time() {
    for begin in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n{\"peers\":["] {
        let (address, left) = dripping(begin);
        let (config, mut bootstrap) = asking("asker", &format!("http://{address}"));
        bootstrap.request_timeout = Duration::from_millis(200);
        let (node, lines) = started(config, bootstrap);
        wait_for(&lines, "no answer within 200 ms");
        left.recv_timeout(PATIENCE).expect("the connection is closed");
        drop(node);
    }
}

#[test]
fn a_registry_that_never_answers_in_tls_is_left_in_time() {
    let listener = any_port();
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let (config, mut bootstrap) = asking("asker", &url);
    bootstrap.connect_timeout = Duration::from_millis(200);
    let (node, lines) = started(config, bootstrap);
    wait_for(&lines, "no connection within 200 ms");
    drop(node);
}

#[test]
fn a_node_stops_while_its_registry_keeps_it_waiting() {
    let listener = any_port();
    let (config, mut bootstrap) = asking("asker", &format!("http://{}", listener.local_addr().expect("bound")));
    bootstrap.request_timeout = PATIENCE;
    let (node, _lines) = started(config, bootstrap);
    let held = listener.accept().expect("asked");
    node.node.stop_blocking();
    drop(held);
}

#[test]
fn an_announcement_that_fails_does_not_keep_a_node_from_asking() {
    let (address, requests) = registry(any_port(), |request| {
        if request.starts_with("POST") { "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned() } else { ok(EMPTY) }
    });
    let (config, mut bootstrap) = asking("asker", &format!("http://{address}"));
    bootstrap.mode = BootstrapMode::PullAndAnnounce;
    let (_node, lines) = started(config, bootstrap);
    wait_for(&lines, "announcement failed: it answers 401");
    wait_for(&lines, "0 peers named");
    drop(requests);
}
