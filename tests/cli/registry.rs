//! The registry and nodes that find each other by it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::support::{From, LIMIT, Running, complaint, run, text};

/// A registry on a free port, with a path v1 knows.
fn registry(args: &[&str]) -> (Running, String) {
    let mut registry = Running::start(&[&["registry", "--listen", "127.0.0.1:0"], args].concat());
    let line = registry.wait_for(From::Stdout, "registry listening on ");
    let address = line.split([' ', ',']).nth(3).expect("an address").to_owned();
    (registry, address)
}

/// Sends bytes as they are; everything that comes back until the other side closes.
fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_read_timeout(Some(LIMIT)).expect("settable");
    // A registry that has heard enough may close first.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("UTF-8")
}

fn get(address: &str, path: &str) -> String {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n").as_bytes())
}

fn post(address: &str, path: &str, headers: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    raw(address, format!("{head}{body}").as_bytes())
}

/// The status and the body, which for every refusal is the JSON the registry promises.
fn parts(answer: &str) -> (u16, &str) {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).expect(answer);
    let body = answer.split_once("\r\n\r\n").expect(answer).1;
    if status >= 400 && !body.is_empty() {
        let json: serde_json::Value = serde_json::from_str(body).expect(body);
        assert!(json["ok"] == false && json["error"].is_string() && json["hint"].is_string(), "{body}");
    }
    (status, body)
}

const ANNOUNCEMENT: &str = r#"{"node_id":"node-a","tcp_port":9001,"cap":{"proto":"1.0","transport":"tcp"}}"#;
const LISTED: &str = r#"{"peers":[{"node_id":"node-a","host":"127.0.0.1","tcp_port":9001}]}"#;

#[test]
fn an_announced_node_is_named_with_the_address_it_came_from_under_both_paths() {
    let (_registry, address) = registry(&[]);
    assert_eq!(parts(&get(&address, "/peers?limit=20")), (200, r#"{"peers":[]}"#));
    assert_eq!(parts(&post(&address, "/p2p/v1/announce", "Content-Type: application/json\r\n", ANNOUNCEMENT)), (200, r#"{"ok":true}"#));
    assert_eq!(parts(&get(&address, "/peers?limit=20")), (200, LISTED));
    assert_eq!(parts(&get(&address, "/p2p/v1/peers")), (200, LISTED));
    assert_eq!(parts(&get(&address, "/peers?limit=0")), (200, r#"{"peers":[]}"#));
    assert_eq!(parts(&get(&address, "/healthz")), (200, r#"{"ok":true}"#));
    assert!(parts(&get(&address, "/metrics")).1.contains("\nvixp2p_registry_announcements_total 1\n"));
}

#[test]
fn a_request_that_makes_no_sense_is_refused_with_what_would() {
    let (_registry, address) = registry(&[]);
    assert_eq!(parts(&get(&address, "/")).0, 404);
    assert_eq!(parts(&get(&address, "/p2p/v1peers")).0, 404);
    assert_eq!(parts(&get(&address, "/announce")).0, 405);
    assert_eq!(parts(&post(&address, "/peers", "", "")).0, 405);
    assert_eq!(parts(&get(&address, "/peers?limit=-1")).0, 400);
    assert_eq!(parts(&post(&address, "/announce", "", "{}")).0, 400);
    assert_eq!(parts(&post(&address, "/announce", "", r#"{"node_id":"n","tcp_port":0}"#)).0, 400);
    assert_eq!(parts(&post(&address, "/announce", "", &format!("{{\"x\":\"{}\"}}", "x".repeat(65_536)))).0, 413);
    let chunked = "POST /announce HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(3);
    assert_eq!(parts(&raw(&address, format!("{chunked}{chunks}0\r\n\r\n").as_bytes())).0, 413);
    assert!(raw(&address, b"\x16\x03\x01 no HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(parts(&get(&address, &format!("/{}", "x".repeat(10_000)))).0 / 100, 4);
    assert_eq!(parts(&get(&address, "/peers")), (200, r#"{"peers":[]}"#), "and it goes on");
}

#[test]
fn a_request_that_does_not_end_is_ended_and_holds_up_nobody() {
    let (_registry, address) = registry(&[]);
    let mut slow: Vec<TcpStream> = Vec::new();
    for begin in ["GET /peers HT", "POST /announce HTTP/1.1\r\nHost: r\r\nContent-Length: 10\r\n\r\n{"] {
        let mut stream = TcpStream::connect(&address).expect("listens");
        stream.set_read_timeout(Some(LIMIT)).expect("settable");
        stream.write_all(begin.as_bytes()).expect("sent");
        slow.push(stream);
    }
    assert_eq!(parts(&get(&address, "/healthz")).0, 200);
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the registry ends it");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[test]
fn a_source_that_floods_is_told_to_wait() {
    let (_registry, address) = registry(&[]);
    let request = "GET /peers HTTP/1.1\r\nHost: r\r\n\r\n".repeat(300);
    let last = "GET /healthz HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n";
    let answers = raw(&address, format!("{request}{last}").as_bytes());
    let answered = answers.matches("HTTP/1.1 200").count();
    let refused = answers.matches("HTTP/1.1 429").count();
    assert_eq!(answered + refused, 301);
    assert!(answered >= 129 && refused > 0, "{answered} answered");
    assert!(answers.contains("retry-after: 1\r\n") && answers.contains(r#"{"ok":false,"error":"too_many_requests""#));
}

#[test]
fn a_registry_with_a_token_answers_nobody_without_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("token");
    std::fs::write(&file, "open-sesame\n").expect("written");
    let (_registry, address) = registry(&["--token-file", text(&file)]);
    for header in
        ["", "Authorization: Bearer open-sesam\r\n", "Authorization: Basic open-sesame\r\n", "Authorization: Bearer open-sesame2\r\n"]
    {
        assert_eq!(parts(&post(&address, "/announce", header, ANNOUNCEMENT)).0, 401, "{header}");
    }
    assert_eq!(parts(&get(&address, "/peers")).0, 401);
    assert_eq!(parts(&get(&address, "/healthz")).0, 200);
    assert_eq!(parts(&post(&address, "/announce", "Authorization: bearer open-sesame\r\n", ANNOUNCEMENT)).0, 200);
}

#[test]
fn a_registry_that_lets_in_everybody_says_so() {
    let mut open = Running::start(&["registry", "--listen", "0.0.0.0:0"]);
    open.wait_for(From::Stderr, "everybody who reaches 0.0.0.0:");
    let mut closed = Running::start(&["registry", "--listen", "0.0.0.0:0", "--token", "open-sesame"]);
    closed.wait_for(From::Stdout, "registry listening on 0.0.0.0:");
    let (status, _, _, complaints) = closed.stop_by("TERM");
    assert!(status.success() && complaints.is_empty(), "{complaints:?}");
}

#[test]
fn an_option_of_a_registry_that_cannot_be_used_is_refused() {
    assert!(complaint(&run(&["registry", "--listen", "0"]), 2).contains("127.0.0.1:0"));
    let text = complaint(&run(&["registry", "--listen", "127.0.0.1:0", "--token", "two words"]), 2);
    assert!(!text.contains("two words"), "{text}");
    complaint(&run(&["registry", "--listen", "127.0.0.1:0", "--ttl", "0"]), 2);
    complaint(&run(&["registry"]), 2);
    assert!(complaint(&run(&["registry", "--listen", "127.0.0.1:0", "--data", "/proc/none/of/this"]), 1).contains("--data"));
}

/// Announces `count` entries and waits for their answers.
fn announce_many(address: &str, count: usize) {
    for port in 1..=count {
        let body = format!(r#"{{"node_id":"n{port}","tcp_port":{port},"host":"node-{port}"}}"#);
        assert_eq!(parts(&post(address, "/announce", "", &body)).0, 200);
    }
}

fn peers_named(address: &str) -> usize {
    get(address, "/peers?limit=1000").matches("tcp_port").count()
}

#[test]
fn what_was_announced_outlives_a_kill_and_ends_in_its_time() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("registry");
    for round in 0..3 {
        let (mut registry, address) = registry(&["--data", text(&file)]);
        assert_eq!(peers_named(&address), if round == 0 { 0 } else { 20 });
        announce_many(&address, 20);
        registry.signal("KILL");
        registry.wait_for_end();
    }
    expires(&file);
}

fn expires(file: &Path) {
    let (registry, address) = registry(&["--data", text(file), "--ttl", "2"]);
    announce_many(&address, 1);
    // One that lives two seconds is gone in the end; the bound is the test's patience.
    while peers_named(&address) > 0 {}
    let (status, ..) = registry.stop_by("TERM");
    assert!(status.success());
}

#[test]
fn two_nodes_find_each_other_by_a_registry() {
    let (_registry, address) = registry(&[]);
    let url = format!("http://{address}");
    let (mut a, _) = Running::node(&["--bootstrap", "on", "--registry", &url]);
    a.wait_for(From::Stderr, "registry: announced");
    let with_path = format!("{url}/p2p/v1/");
    let (mut b, _) = Running::node(&["--registry", &with_path, "--announce", "off", "--boot-interval", "1"]);
    b.wait_for(From::Stdout, "peers_connected=1");
    a.wait_for(From::Stdout, "peers_connected=1");
    assert_eq!(peers_named(&address), 1, "only one announces itself");
}

#[test]
fn nodes_meet_by_a_registry_with_a_token_that_comes_back_from_a_kill() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (token, file) = (dir.path().join("token"), dir.path().join("registry"));
    std::fs::write(&token, "open-sesame\n").expect("written");
    let kept = ["--token-file", text(&token), "--data", text(&file)];
    let (mut first, address) = registry(&kept);
    let url = format!("http://{address}");
    let asking = ["--registry", &url, "--registry-token-file", text(&token), "--boot-interval", "1"];
    let (mut a, _) = Running::node(&asking);
    a.wait_for(From::Stderr, "registry: announced");
    let (mut stranger, _) = Running::node(&["--registry", &url]);
    stranger.wait_for(From::Stderr, "announcement failed: it answers 401");
    first.signal("KILL");
    first.wait_for_end();
    a.wait_for(From::Stderr, "registry: no peers learned: no connection to");
    let again = [&["registry", "--listen", &address][..], &kept].concat();
    let mut second = Running::start(&again);
    second.wait_for(From::Stdout, ", 1 entries kept");
    let (mut b, _) = Running::node(&asking);
    b.wait_for(From::Stdout, "peers_connected=1");
    a.wait_for(From::Stdout, "peers_connected=1");
}

/// A registry that gives every connection the next of these answers.
fn scripted(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("bound").to_string();
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = socket.accept().expect("asked");
            stream.set_read_timeout(Some(LIMIT)).expect("settable");
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap_or(0);
                request.extend_from_slice(&piece[..count]);
                if count == 0 || request.first() == Some(&0x16) {
                    break;
                }
            }
            requests.push(String::from_utf8_lossy(&request).into_owned());
            // A client that has heard enough may close first.
            let _ = stream.write_all(answer.as_bytes());
        }
        requests
    });
    (address, thread)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n{body}")
}

fn listening_off(url: &str) -> Running {
    Running::start(&["--id", "n", "--listen", "0", "--bootstrap", "on", "--boot-interval", "1", "--log-level", "debug", "--registry", url])
}

#[test]
fn a_redirect_to_another_host_is_not_followed_and_one_at_the_registry_is() {
    let away = answer("302 Found", "Location: http://127.0.0.2:9/peers\r\n", "");
    let here = answer("307 Temporary Redirect", "Location: /moved/peers?limit=20\r\n", "");
    let (address, server) = scripted(vec![away, here, answer("200 OK", "", r#"{"peers":[]}"#)]);
    let mut node = listening_off(&format!("http://{address}/base"));
    node.wait_for(From::Stderr, "redirect to another place");
    node.wait_for(From::Stderr, "registry: 0 peers named");
    let requests = server.join().expect("asked three times");
    assert!(requests[1].starts_with("GET /base/peers?limit=20 HTTP/1.1\r\n"), "{}", requests[1]);
    assert!(requests[2].starts_with("GET /moved/peers?limit=20 HTTP/1.1\r\n"), "{}", requests[2]);
    assert!(requests[0].contains(&format!("host: {address}\r\n")) && requests[0].contains("connection: close\r\n"));
}

#[test]
fn an_answer_that_cannot_be_used_is_a_failure_the_node_survives() {
    let list = format!(r#"{{"peers":[],"x":"{}"}}"#, "x".repeat(70_000));
    let (address, server) = scripted(vec![
        answer("200 OK", "", &list),
        answer("500 Internal Server Error", "", "{}"),
        answer("200 OK", "", "<html>"),
        "SSH-2.0-nothing\r\n".to_owned(),
        answer("200 OK", &format!("X: {}\r\n", "x".repeat(10_000)), "{}"),
        answer("200 OK", "", r#"{"peers":[7,{"host":"","tcp_port":1}]}"#),
    ]);
    let url = format!("http://{address}");
    for what in ["at most 65536 bytes", "answers 500", "no list of peers", "no HTTP answer", "no HTTP answer", "0 peers named"] {
        listening_off(&url).wait_for(From::Stderr, what);
    }
    server.join().expect("asked six times");
}

#[test]
fn a_registry_whose_certificate_cannot_be_checked_is_told_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let token = dir.path().join("token");
    std::fs::write(&token, "open-sesame").expect("written");
    let (address, server) = scripted(vec![answer("200 OK", "", r#"{"peers":[]}"#)]);
    let url = format!("https://{address}");
    let mut node =
        Running::start(&["--id", "n", "--listen", "0", "--bootstrap", "on", "--registry", &url, "--registry-token-file", text(&token)]);
    node.wait_for(From::Stderr, "registry: no peers learned: TLS: ");
    let heard = server.join().expect("asked").concat();
    assert!(!heard.contains("sesame") && !heard.contains("peers"), "{heard}");
}

#[test]
fn an_address_of_a_registry_that_cannot_be_used_is_refused_unquoted() {
    let text = complaint(&run(&["--id", "n", "--listen", "0", "--bootstrap", "on", "--registry", "http://user:hunter2@r"]), 2);
    assert!(text.contains("--registry") && !text.contains("hunter2"), "{text}");
}
