//! Actions that the user signs as typed data: transfers, withdrawals, approvals.

use super::typed;
use crate::sign::json::Json;
use crate::sign::{SignError, Typed};

const DOMAIN: &str = "HyperliquidSignTransaction";
/// The chain that wallets are shown where the caller names none: Arbitrum Sepolia.
const CHAIN: &str = "0x66eee";

/// An action's type, its name when signed, and its fields after `hyperliquidChain`, which is the first of each.
type Action = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const ACTIONS: [Action; 11] = [
    ("usdSend", "UsdSend", &[("destination", "string"), ("amount", "string"), ("time", "uint64")]),
    (
        "spotSend",
        "SpotSend",
        &[("destination", "string"), ("token", "string"), ("amount", "string"), ("time", "uint64")],
    ),
    ("withdraw3", "Withdraw", &[("destination", "string"), ("amount", "string"), ("time", "uint64")]),
    ("usdClassTransfer", "UsdClassTransfer", &[("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64")]),
    (
        "sendAsset",
        "SendAsset",
        &[
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            ("nonce", "uint64"),
        ],
    ),
    ("approveAgent", "ApproveAgent", &[("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")]),
    (
        "approveBuilderFee",
        "ApproveBuilderFee",
        &[("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")],
    ),
    (
        "tokenDelegate",
        "TokenDelegate",
        &[("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), ("nonce", "uint64")],
    ),
    ("userDexAbstraction", "UserDexAbstraction", &[("user", "address"), ("enabled", "bool"), ("nonce", "uint64")]),
    (
        "userSetAbstraction",
        "UserSetAbstraction",
        &[("user", "address"), ("abstraction", "string"), ("nonce", "uint64")],
    ),
    ("convertToMultiSigUser", "ConvertToMultiSigUser", &[("signers", "string"), ("nonce", "uint64")]),
];

fn kind(action: &Json) -> &str {
    action.get("type").and_then(Json::as_text).unwrap_or_default()
}

/// Whether the user signs it, rather than the exchange's own chain.
pub(super) fn is_signed_by_user(action: &Json, is_reference: bool) -> Result<bool, SignError> {
    let marked = action.get("hyperliquidChain").is_some();
    if is_reference {
        return Ok(marked);
    }
    match kind(action) {
        "multiSig" => Err(SignError::Body("is an action of type multiSig, which several keys sign; one cannot")),
        kind if ACTIONS.iter().any(|(known, ..)| *known == kind) => Ok(true),
        _ if marked => Err(SignError::Body(
            "has an action of the user's whose fields are not known, so it cannot be signed rightly",
        )),
        _ => Ok(false),
    }
}

/// The typed data of an action, to which what is missing is added: the chain it was signed for.
pub(super) fn typed(action: &mut Json, is_mainnet: bool, is_reference: bool) -> Result<Typed, SignError> {
    if action.get("signatureChainId").is_none() {
        action.set("signatureChainId", Json::text(CHAIN));
    }
    let (primary_type, fields, chain_id) = match is_reference {
        true => (inferred_type(action)?, inferred_fields(action)?, 421_614),
        false => {
            if action.get("hyperliquidChain").is_none() {
                action.set("hyperliquidChain", Json::text(if is_mainnet { "Mainnet" } else { "Testnet" }));
            }
            let (_, name, fields) = ACTIONS
                .iter()
                .find(|(known, ..)| *known == kind(action))
                .ok_or(SignError::Body("has no known action"))?;
            let fields = [("hyperliquidChain", "string")].iter().chain(*fields);
            let fields = fields.map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
            ((*name).to_owned(), fields, chain_id(action)?)
        }
    };
    let primary_type = format!("HyperliquidTransaction:{primary_type}");
    let encode = |(name, kind): &(String, &'static str)| {
        let value = action.get(name).ok_or(SignError::Body("lacks a field of its action"))?;
        typed::encode(kind, value)
    };
    let encoded = fields.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    Ok(Typed {
        domain: DOMAIN,
        chain_id,
        struct_hash: typed::struct_hash(&primary_type, &fields, &encoded),
        primary_type,
        fields,
        domain_separator: typed::domain_separator(DOMAIN, chain_id),
        ..Typed::default()
    })
}

fn chain_id(action: &Json) -> Result<u64, SignError> {
    let text = action.get("signatureChainId").and_then(Json::as_text).and_then(|text| text.strip_prefix("0x"));
    text.and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(SignError::Body("has a signatureChainId that is not 0x and hexadecimal digits"))
}

/// The type's name as the reference client makes it: the first letter in upper case, and no digits.
fn inferred_type(action: &Json) -> Result<String, SignError> {
    let kind = action.get("type").and_then(Json::as_text).ok_or(SignError::Body("has an action without a type"))?;
    let letters = kind.chars().enumerate().filter(|(_, c)| !c.is_numeric());
    Ok(letters.map(|(at, c)| if at == 0 { c.to_uppercase().to_string() } else { c.to_string() }).collect())
}

/// The fields as the reference client makes them: all there are, in order, by the types of their values.
fn inferred_fields(action: &Json) -> Result<Vec<(String, &'static str)>, SignError> {
    let members = action.members().iter();
    let signed =
        members.filter(|(key, value)| key != "signatureChainId" && !(key == "type" && matches!(value, Json::Text(_))));
    let field = |(key, value): &(String, Json)| {
        let kind = match value {
            Json::Bool(_) => "bool",
            Json::Number(number) if !number.contains(['.', 'e', 'E']) => "uint64",
            Json::Text(_) => "string",
            _ => return Err(SignError::Body("has a field of a type that the reference client cannot sign")),
        };
        Ok((key.clone(), kind))
    };
    signed.map(field).collect()
}
