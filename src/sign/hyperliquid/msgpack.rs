//! An action as MessagePack: members in order, numbers in their shortest form.

use crate::sign::SignError;
use crate::sign::json::Json;

const FAILED: SignError = SignError::Body("has a number that MessagePack cannot hold");

/// The value's bytes.
pub(super) fn pack(value: &Json) -> Result<Vec<u8>, SignError> {
    let mut out = Vec::new();
    write(&mut out, value)?;
    Ok(out)
}

fn write(out: &mut Vec<u8>, value: &Json) -> Result<(), SignError> {
    // Writing to a Vec cannot fail.
    let lost = |_| FAILED;
    match value {
        Json::Null => rmp::encode::write_nil(out).map_err(|_| FAILED),
        Json::Bool(value) => rmp::encode::write_bool(out, *value).map_err(|_| FAILED),
        Json::Number(number) => write_number(out, number),
        Json::Text(text) => rmp::encode::write_str(out, text).map_err(lost),
        Json::List(items) => {
            rmp::encode::write_array_len(out, u32::try_from(items.len()).map_err(|_| FAILED)?).map_err(lost)?;
            items.iter().try_for_each(|item| write(out, item))
        }
        Json::Map(members) => {
            rmp::encode::write_map_len(out, u32::try_from(members.len()).map_err(|_| FAILED)?).map_err(lost)?;
            members.iter().try_for_each(|(key, value)| {
                rmp::encode::write_str(out, key).map_err(lost)?;
                write(out, value)
            })
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: &str) -> Result<(), SignError> {
    if number.contains(['.', 'e', 'E']) {
        let value: f64 = number.parse().map_err(|_| FAILED)?;
        return rmp::encode::write_f64(out, value).map_err(|_| FAILED);
    }
    if let Ok(value) = number.parse::<u64>() {
        return rmp::encode::write_uint(out, value).map(drop).map_err(|_| FAILED);
    }
    let value: i64 = number.parse().map_err(|_| FAILED)?;
    rmp::encode::write_sint(out, value).map(drop).map_err(|_| FAILED)
}
