//! A registry behind https with a certificate of a private authority: asked by those who were given that authority, and by nobody else.
#![cfg(feature = "https")]

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use common::{Peer, config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use vixp2p::base::BootstrapConfig;
use vixp2p::{Config, Event, Node};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn pem(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    let digits = data_encoding::BASE64.encode(authority.der());
    let lines: Vec<&str> = digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A registry on the loopback whose certificate for 127.0.0.1 the authority signed; it names one peer. Ends with the test.
fn registry(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, authority).expect("signed");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let settings = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("a pair");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("settable");
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("usable");
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        loop {
            let (stream, _) = listener.accept().await.expect("accepts");
            // A client that does not trust the certificate goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = r#"{"peers":[{"node_id":"named","host":"127.0.0.1","tcp_port":9}]}"#;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    };
    std::thread::spawn(move || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(serve));
    format!("https://{address}")
}

fn asking(url: &str, ca_pem: Option<String>) -> Config {
    let mut bootstrap = BootstrapConfig::new(url.parse().expect("an address"));
    bootstrap.poll_interval = Duration::from_millis(20);
    bootstrap.ca_pem = ca_pem;
    Config { bootstrap: Some(bootstrap), dial: false, ..config("asker") }
}

#[test]
fn a_private_authority_vouches_for_its_registry_and_no_other() {
    let (ours, theirs) = (authority(), authority());
    let url = registry(&ours);
    let mut node = Peer::start(asking(&url, Some(pem(&ours))));
    node.expect("a name", |event| matches!(event, Event::PeerNamed { node_id, .. } if node_id == "named").then_some(()));
    let both = format!("{}{}", pem(&theirs), pem(&ours));
    let mut node = Peer::start(asking(&url, Some(both)));
    node.expect("a name", |event| matches!(event, Event::PeerNamed { .. }).then_some(()));
    for ca_pem in [None, Some(pem(&theirs))] {
        let mut node = Peer::start(asking(&url, ca_pem));
        let detail = node.expect("a refusal", |event| match event {
            Event::RegistryFailed { detail, .. } => Some(detail.clone()),
            _ => None,
        });
        assert!(detail.contains("TLS: "), "{detail}");
        assert!(!node.has_seen(|event| matches!(event, Event::PeerNamed { .. })));
    }
}

#[test]
fn an_authority_that_cannot_be_used_is_refused_before_anything_starts() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    for (text, why) in [("nothing".to_owned(), "no certificate"), (broken, "cannot be used")] {
        let error = Node::open(asking("https://127.0.0.1:1", Some(text))).expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(Node::open(asking("http://127.0.0.1:1", Some(pem(&authority())))).expect_err("refused").to_string().contains("not https"));
}
