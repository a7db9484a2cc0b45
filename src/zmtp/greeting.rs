//! The greeting: 64 bytes that name the version and the security mechanism (RFC 23).

use super::WireError;
use super::codec::Decoder;
use super::error::shown;

/// Length of a greeting.
pub(super) const GREETING_LEN: usize = 64;
const MECHANISM: std::ops::Range<usize> = 12..32;
const AS_SERVER: usize = 32;

/// Our greeting: ZMTP 3.1 with this mechanism; `as_server` is the side that checks credentials.
pub(super) fn greeting(mechanism: &'static str, as_server: bool) -> [u8; GREETING_LEN] {
    let mut bytes = [0; GREETING_LEN];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[11] = 1;
    bytes[MECHANISM.start..][..mechanism.len()].copy_from_slice(mechanism.as_bytes());
    bytes[AS_SERVER] = u8::from(as_server);
    bytes
}

/// The peer's minor version, once its whole greeting is here. Garbage is refused at its first wrong byte.
pub(super) fn read_greeting(decoder: &mut Decoder, ours: &'static str) -> Result<Option<u8>, WireError> {
    let bytes = decoder.unread();
    if bytes.first().is_some_and(|&b| b != 0xff) || bytes.get(9).is_some_and(|&b| b & 1 == 0) {
        return Err(WireError::NotZmtp);
    }
    if let Some(&major) = bytes.get(10).filter(|&&major| major < 3) {
        return Err(WireError::OldVersion(major));
    }
    if bytes.len() < GREETING_LEN {
        return Ok(None);
    }
    let theirs = &bytes[MECHANISM];
    // The name is padded with zeros.
    if !theirs.strip_prefix(ours.as_bytes()).is_some_and(|rest| rest.iter().all(|&byte| byte == 0)) {
        return Err(WireError::Mechanism { ours, theirs: shown(theirs, MECHANISM.len()) });
    }
    // A newer major version falls back to ours, which is 3.1.
    let minor = if bytes[10] > 3 { 1 } else { bytes[11] };
    decoder.skip(GREETING_LEN);
    Ok(Some(minor))
}
