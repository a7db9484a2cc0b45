//! The one TLS client configuration: ring, the system's certificate authorities, no way to switch verification off.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls_platform_verifier::BuilderVerifierExt;

/// The configuration, once it could be made.
static CONFIG: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);

/// TLS cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}; install the system's CA certificates (package ca-certificates) or set SSL_CERT_FILE")]
pub struct TlsSetupError(#[from] rustls::Error);

/// The configuration that every TLS connection of the process shares. A failure is not kept: certificates installed
/// later are found by the next attempt.
///
/// # Errors
/// When the machine has no certificate authorities.
pub fn client_config() -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut config = CONFIG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*config {
        return Ok(Arc::clone(made));
    }
    let made = Arc::new(
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth(),
    );
    *config = Some(Arc::clone(&made));
    Ok(made)
}

/// A configuration under which every certificate is refused, for clients that only speak plain http but must be given
/// one.
///
/// # Errors
/// Not with the provider used here; the library allows for it.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsSetupError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

/// Ring, also made the default for libraries that look for one.
fn provider() -> Arc<CryptoProvider> {
    // It fails when there is a default already, which is then the one to use.
    let _ = ring::default_provider().install_default();
    CryptoProvider::get_default().map_or_else(|| Arc::new(ring::default_provider()), Arc::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once() {
        let (Ok(first), Ok(second)) = (client_config(), client_config()) else {
            // A machine without certificate authorities; the error says so.
            assert!(client_config().unwrap_err().to_string().contains("ca-certificates"));
            return;
        };
        assert!(Arc::ptr_eq(&first, &second));
    }
}
