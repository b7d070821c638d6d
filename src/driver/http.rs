//! One HTTP request and its whole answer, with every size and time bounded. Never follows a redirect to another place, keeps no connection
//! and reads no environment.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[cfg(feature = "https")]
use {
    std::sync::Arc,
    tokio_rustls::TlsConnector,
    tokio_rustls::rustls::pki_types::pem::PemObject,
    tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, TrustAnchor},
    tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto},
};

use crate::base::{BootstrapConfig, limits};

/// Smallest buffer the HTTP library works with; a longer head is refused.
const HEAD_MAX_BYTES: usize = 8192;

/// A connection, sealed or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What came back: a body, or the place to ask instead.
enum Answer {
    Body(Bytes),
    Elsewhere(String),
}

/// GETs what lies at `path` below the registry's base; the body of a success.
pub(crate) async fn get(config: &BootstrapConfig, path: &str) -> Result<Bytes, String> {
    let mut path = format!("{}{path}", config.registry_url.base);
    for _ in 0..=limits::BOOTSTRAP_REDIRECTS_MAX {
        match ask(config, Method::GET, &path, Bytes::new()).await? {
            Answer::Body(body) => return Ok(body),
            Answer::Elsewhere(location) => path = location,
        }
    }
    Err(format!("more than {} redirects", limits::BOOTSTRAP_REDIRECTS_MAX))
}

/// POSTs JSON to `path` below the registry's base. A redirect is a failure: nothing is announced twice.
pub(crate) async fn post(config: &BootstrapConfig, path: &str, body: String) -> Result<Bytes, String> {
    match ask(config, Method::POST, &format!("{}{path}", config.registry_url.base), body.into()).await? {
        Answer::Body(body) => Ok(body),
        Answer::Elsewhere(_) => Err("the answer to an announcement is a redirect".into()),
    }
}

async fn ask(config: &BootstrapConfig, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
    let late = |what: &str, ms: u128| format!("{what} within {ms} ms");
    let request = request(config, method, path, body)?;
    let opened = timeout(config.connect_timeout, open(config)).await;
    let stream = opened.map_err(|_| late("no connection", config.connect_timeout.as_millis()))??;
    let answered = timeout(config.request_timeout, exchange(config, stream, request)).await;
    answered.map_err(|_| late("no answer", config.request_timeout.as_millis()))?
}

fn request(config: &BootstrapConfig, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
    let kind = if method == Method::POST { CONTENT_TYPE } else { ACCEPT };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, config.registry_url.authority())
        .header(CONNECTION, "close")
        .header(kind, "application/json")
        .body(Full::new(body))
        .map_err(|e| format!("the request cannot be written: {e}"))?;
    if let Some(token) = &config.token {
        let mut value = HeaderValue::from_str(&token.header()).map_err(|_| "the token cannot be sent".to_owned())?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

async fn open(config: &BootstrapConfig) -> Result<Box<dyn Stream>, String> {
    let url = &config.registry_url;
    let addresses = tokio::net::lookup_host((url.host.as_str(), url.port)).await.map_err(|e| format!("its name is not known: {e}"))?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) if url.https => return seal(stream, config).await,
            Ok(stream) => return Ok(Box::new(stream)),
            Err(e) => last = format!("no connection to {address}: {e}"),
        }
    }
    Err(last)
}

#[cfg(feature = "https")]
async fn seal(stream: TcpStream, config: &BootstrapConfig) -> Result<Box<dyn Stream>, String> {
    let roots = match &config.ca_pem {
        Some(pem) => roots(pem)?,
        None => webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    seal_by(stream, &config.registry_url.host, roots).await
}

/// The certificates of a PEM text as authorities.
#[cfg(feature = "https")]
fn roots(pem: &str) -> Result<Vec<TrustAnchor<'static>>, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("the certificate authority is no PEM text: {e}"))?;
        store.add(certificate).map_err(|e| format!("the certificate authority cannot be used: {e}"))?;
    }
    if store.is_empty() { Err("the certificate authority's text holds no certificate".into()) } else { Ok(store.roots) }
}

/// Whether the settings' certificate authorities can be used.
pub(crate) fn check(config: &BootstrapConfig) -> crate::base::Result<()> {
    #[cfg(feature = "https")]
    config.ca_pem.as_deref().map_or(Ok(()), |pem| roots(pem).map(drop)).map_err(crate::base::Error::Invalid)?;
    // Without https the settings refuse such an address themselves.
    let _ = config;
    Ok(())
}

/// A connection to whoever has a certificate for `host` from one of `roots`.
#[cfg(feature = "https")]
async fn seal_by(stream: TcpStream, host: &str, roots: Vec<TrustAnchor<'static>>) -> Result<Box<dyn Stream>, String> {
    let settings = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("no TLS: {e}"))?
        .with_root_certificates(RootCertStore { roots })
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host is no name a certificate can hold".to_owned())?;
    let sealed = TlsConnector::from(Arc::new(settings)).connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?;
    Ok(Box::new(sealed))
}

#[cfg(not(feature = "https"))]
async fn seal(_stream: TcpStream, _config: &BootstrapConfig) -> Result<Box<dyn Stream>, String> {
    Err("this build has no https".into())
}

async fn exchange(config: &BootstrapConfig, stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let plain = |e: hyper::Error| format!("no HTTP answer: {e}");
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_MAX_BYTES).handshake(TokioIo::new(stream)).await.map_err(plain)?;
    let whole = async {
        let response = sender.send_request(request).await.map_err(plain)?;
        let (head, body) = response.into_parts();
        let head = Response::from_parts(head, ());
        if let Some(answer) = verdict(config, &head)? {
            return Ok(answer);
        }
        let limited = Limited::new(body, config.max_http_bytes).collect().await;
        limited
            .map(|body| Answer::Body(body.to_bytes()))
            .map_err(|e| format!("its answer: {e} (at most {} bytes are read)", config.max_http_bytes))
    };
    let (mut whole, mut connection, mut open) = (std::pin::pin!(whole), std::pin::pin!(connection), true);
    loop {
        tokio::select! {
            answer = &mut whole => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

/// What the head alone decides; `None` if the body is wanted.
fn verdict(config: &BootstrapConfig, head: &Response<()>) -> Result<Option<Answer>, String> {
    let status = head.status();
    if status.is_success() {
        return Ok(None);
    }
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !redirects.contains(&status) {
        return Err(format!("it answers {}", status.as_u16()));
    }
    let location = head.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = config.registry_url.same_place(location);
    path.map(|path| Some(Answer::Elsewhere(path))).ok_or_else(|| format!("it answers {}, a redirect to another place", status.as_u16()))
}

#[cfg(all(test, feature = "https"))]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// A registry with a certificate of its own; what a client that trusts `roots` hears at `host`, and what the registry heard.
    async fn asked(host: &str, trusted: bool) -> (Result<Bytes, String>, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let settings = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let settings = settings.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).expect("a pair");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("asked");
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(settings)).accept(stream).await else { return String::new() };
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.expect("answered");
            stream.shutdown().await.expect("ended");
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        let config = BootstrapConfig::new(format!("https://{host}:{port}").parse().expect("an address"));
        let der: CertificateDer<'static> = cert.der().clone();
        let roots = if trusted { anchors(der) } else { webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("listens");
        let answer = match seal_by(stream, host, roots).await {
            Ok(stream) => {
                let request = request(&config, Method::GET, "/peers", Bytes::new()).expect("written");
                exchange(&config, stream, request).await.map(|answer| match answer {
                    Answer::Body(body) => body,
                    Answer::Elsewhere(place) => panic!("{place}"),
                })
            }
            Err(why) => Err(why),
        };
        (answer, server.await.expect("ended"))
    }

    fn anchors(certificate: CertificateDer<'static>) -> Vec<TrustAnchor<'static>> {
        let mut store = RootCertStore::empty();
        store.add(certificate).expect("a root");
        store.roots
    }

    #[tokio::test]
    async fn a_registry_whose_certificate_is_trusted_is_asked_sealed() {
        let (answer, heard) = asked("localhost", true).await;
        assert_eq!(answer.expect("answered"), "{}");
        assert!(heard.starts_with("GET /peers HTTP/1.1\r\nhost: localhost:"), "{heard}");
    }

    #[tokio::test]
    async fn a_certificate_of_nobody_or_for_another_name_is_refused_before_a_word() {
        for (host, trusted) in [("localhost", false), ("127.0.0.1", true), ("other.example", true)] {
            let (answer, heard) = asked(host, trusted).await;
            assert!(answer.expect_err(host).starts_with("TLS: ") && heard.is_empty(), "{heard}");
        }
    }
}
