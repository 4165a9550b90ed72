//! TLS to the database, by rustls over ring: whom a certificate has to satisfy.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects by TLS.
pub type Tls = MakeRustlsConnect;

/// Where systems keep the authorities that they trust: Debian and Alpine, Fedora, SUSE.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// As libpq reads these words: `verify-full` and `verify-ca` check a certificate, and so does `require` where a file of
/// authorities is given. Without one, those of the system count.
pub fn client(mode: &str, root_file: Option<&str>) -> Result<Tls, String> {
    let provider = Arc::new(ring::default_provider());
    let authorities = match (mode, root_file) {
        ("prefer", _) | ("require", None) => None,
        (_, file) => {
            let roots = Arc::new(roots(file.filter(|file| *file != "system"))?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|error| format!("has an sslrootcert of no use: {error}"))?)
        }
    };
    let verifier = Verifier { authorities, checks_name: mode == "verify-full", provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("has no use for TLS: {error}"))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    // For sslnegotiation=direct.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn roots(file: Option<&str>) -> Result<RootCertStore, String> {
    let system = || SYSTEM.into_iter().find(|path| std::fs::exists(path).unwrap_or(false));
    let file = file.or_else(system).ok_or("needs sslrootcert=FILE, for this system has no list of authorities")?;
    let refused = |error| format!("has an sslrootcert, {file}, that cannot be read: {error}");
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates.map_err(refused)?) {
        (0, _) => Err(format!("has an sslrootcert, {file}, that holds no certificate")),
        _ => Ok(roots),
    }
}

/// Checks a certificate as far as it is wanted.
#[derive(Debug)]
struct Verifier {
    /// Without them any certificate will do, as `require` says: nobody listens in, but who answers is not known.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.authorities.as_ref().map(|by| by.verify_server_cert(certificate, others, name, ocsp, now));
        match checked {
            // The name is looked at last.
            Some(Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ))) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            Some(outcome) => outcome,
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
