//! Typed data (EIP-712): hashes of domains and structs, and values of the few types that are used.

use super::keccak;
use crate::sign::SignError;
use crate::sign::json::Json;

/// The domain of this name and chain, of version 1 and no contract.
pub(super) fn domain_separator(name: &str, chain_id: u64) -> [u8; 32] {
    const TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    keccak(&[&keccak(&[TYPE]), &keccak(&[name.as_bytes()]), &keccak(&[b"1"]), &number(chain_id), &[0; 32]])
}

/// The hash of a value of this type, from its encoded fields.
pub(super) fn struct_hash(primary_type: &str, fields: &[(String, &str)], encoded: &[[u8; 32]]) -> [u8; 32] {
    let fields: Vec<String> = fields.iter().map(|(name, kind)| format!("{kind} {name}")).collect();
    let type_hash = keccak(&[format!("{primary_type}({})", fields.join(",")).as_bytes()]);
    let mut parts: Vec<&[u8]> = vec![&type_hash];
    parts.extend(encoded.iter().map(<[u8; 32]>::as_slice));
    keccak(&parts)
}

/// A field's value as 32 bytes.
pub(super) fn encode(kind: &str, value: &Json) -> Result<[u8; 32], SignError> {
    match (kind, value) {
        ("string", Json::Text(text)) => Ok(keccak(&[text.as_bytes()])),
        ("bool", Json::Bool(value)) => Ok(number(u64::from(*value))),
        ("uint64", value) => {
            value.as_u64().map(number).ok_or(SignError::Body("has a number that is not from 0 to 2^64 - 1"))
        }
        ("address", value) => address(value).map(|address| {
            let mut out = [0; 32];
            out[12..].copy_from_slice(&address);
            out
        }),
        _ => Err(SignError::Body("has a field of another type than Hyperliquid signs it with")),
    }
}

fn number(value: u64) -> [u8; 32] {
    let mut out = [0; 32];
    out[24..].copy_from_slice(&value.to_be_bytes());
    out
}

/// The bytes of an address, `0x` and 40 hexadecimal digits.
pub(super) fn address(value: &Json) -> Result<[u8; 20], SignError> {
    let wrong = SignError::Body("has an address that is not 0x and 40 hexadecimal digits");
    let digits = value.as_text().and_then(|text| text.strip_prefix("0x")).ok_or_else(|| wrong.clone())?;
    let digits: Vec<u8> =
        digits.chars().map_while(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
    if digits.len() != 40 || value.as_text().is_none_or(|text| text.len() != 42) {
        return Err(wrong);
    }
    let mut out = [0; 20];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(out)
}
