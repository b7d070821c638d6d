//! TLS 1.3 by rustls and aws-lc over tokio: both sides show a self-signed Ed25519 certificate that the other has pinned; nothing is
//! resumed. The name chooses the key exchange.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Contender, MESSAGE, Result, Side};

/// A PKCS #8 Ed25519 key (RFC 8410 §7) up to its seed.
const PKCS8_ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

/// The certificate of a side and its key. The same in every process: neither has anything random in it.
fn certificate(side: Side) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let der = PrivatePkcs8KeyDer::from([&PKCS8_ED25519[..], &side.seed()].concat());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?;
    let certificate = CertificateParams::new(vec!["peer".into()])?.self_signed(&key)?;
    Ok((certificate.der().clone(), PrivateKeyDer::from(der)))
}

impl Tls {
    pub(crate) fn new(side: Side, name: &str) -> Result<Tls> {
        let group = match name {
            "rustls-x25519" => kx_group::X25519,
            "rustls-x25519mlkem768" => kx_group::X25519MLKEM768,
            other => return Err(format!("no contender is called {other}").into()),
        };
        let provider = Arc::new(CryptoProvider { kx_groups: vec![group], ..default_provider() });
        let (own, key) = certificate(side)?;
        let pinned = Arc::new(Pinned { certificate: certificate(side.other())?.0, provider: provider.clone() });

        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(pinned.clone())
            .with_single_cert(vec![own.clone()], key.clone_key())?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(vec![own], key)?;
        client.resumption = Resumption::disabled();
        Ok(Tls { acceptor: Arc::new(server).into(), connector: Arc::new(client).into() })
    }
}

impl Contender for Tls {
    async fn serve(self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let handshake = self.acceptor.accept(stream);
            tokio::spawn(async move {
                let mut stream = handshake.await?;
                let mut message = MESSAGE;
                // The driver's goodbye ends the work.
                while stream.read_exact(&mut message).await.is_ok() {
                    stream.write_all(&message).await?;
                    stream.flush().await?;
                }
                std::io::Result::Ok(())
            });
        }
    }

    async fn once(&mut self, address: &str) -> Result<()> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut stream = self.connector.connect(ServerName::try_from("peer")?, stream).await?;
        stream.write_all(&MESSAGE).await?;
        stream.flush().await?;
        let mut back = [0; MESSAGE.len()];
        stream.read_exact(&mut back).await?;
        stream.shutdown().await?;
        if back == MESSAGE { Ok(()) } else { Err("another message came back".into()) }
    }
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn is_pinned(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if *shown == self.certificate { Ok(()) } else { Err(Error::General("not the certificate that is pinned".into())) }
    }

    fn signed(&self, message: &[u8], by: &CertificateDer<'_>, signature: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, by, signature, &self.provider.signature_verification_algorithms)
    }
}

/// TLS 1.2 is switched off.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.3 only".into()))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.is_pinned(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, by, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(&self, shown: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        self.is_pinned(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, by, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
