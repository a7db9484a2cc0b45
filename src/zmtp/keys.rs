//! Keys of CURVE: 32 bytes each, written as 40 characters of Z85 (RFC 32).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const Z85: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
/// Characters of a key.
const KEY_CHARACTERS: usize = 40;

/// Why a text is not a key. It never repeats the text, which may be a secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not 40 characters.
    #[error("a key has {KEY_CHARACTERS} characters (Z85), this text {0}")]
    Length(usize),
    /// A character that Z85 does not have, or five of them that stand for more than 32 bits.
    #[error("character {0} is not part of a key (Z85)")]
    Character(usize),
    /// A certificate whose public key does not belong to its secret key.
    #[error("the public key does not belong to the secret key: the file is damaged, make a new pair")]
    Pair,
    /// A certificate without the line that is needed.
    #[error("there is no `{0}` in it")]
    Missing(&'static str),
    /// The system's source of random bytes failed.
    #[error("the system gives no random bytes")]
    Random,
}

/// A public key; shown and read as 40 characters of Z85.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode(text).map(Self)
    }
}

/// A secret key: wiped when dropped, and printed by nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes the bytes of a key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 40 characters of Z85.
    ///
    /// # Errors
    /// [`KeyError`], without the text.
    pub fn from_z85(text: &str) -> Result<Self, KeyError> {
        decode(text).map(Self)
    }

    /// As 40 characters of Z85, to be written into a file.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(encode(&self.0))
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.for_box().public_key().as_bytes())
    }

    /// For the crate that opens and seals.
    pub(super) fn for_box(&self) -> crypto_box::SecretKey {
        crypto_box::SecretKey::from(self.0)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// A secret key and its public key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

/// A public key has one secret key, so it tells the whole pair.
impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for KeyPair {}

impl KeyPair {
    /// A new pair, from the system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| KeyError::Random)?;
        Ok(Self::from_secret(SecretKey(*bytes)))
    }

    /// The pair of a secret key.
    pub fn from_secret(secret: SecretKey) -> Self {
        Self { public: secret.public(), secret }
    }

    /// The key that others may know.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The key that nobody else may know.
    pub const fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

fn encode(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(KEY_CHARACTERS);
    for chunk in bytes.chunks_exact(4) {
        let value = chunk.iter().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte));
        let digits = [52_200_625, 614_125, 7_225, 85, 1].map(|weight| value / weight % 85);
        text.extend(digits.iter().map(|&digit| char::from(Z85[digit as usize])));
    }
    text
}

fn decode(text: &str) -> Result<[u8; 32], KeyError> {
    if text.len() != KEY_CHARACTERS {
        return Err(KeyError::Length(text.chars().count()));
    }
    let mut bytes = [0; 32];
    for (at, (chunk, out)) in text.as_bytes().chunks_exact(5).zip(bytes.chunks_exact_mut(4)).enumerate() {
        let mut value = 0_u64;
        for (offset, character) in chunk.iter().enumerate() {
            let digit = Z85.iter().position(|known| known == character);
            value = value * 85 + digit.ok_or(KeyError::Character(at * 5 + offset + 1))? as u64;
        }
        let value = u32::try_from(value).map_err(|_| KeyError::Character(at * 5 + 5))?;
        out.copy_from_slice(&value.to_be_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 26 and RFC 32 name these keys; zmq_curve(7) uses them.
    const SERVER_PUBLIC: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const SERVER_SECRET: &str = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";

    #[test]
    fn the_keys_of_the_manual_belong_together() {
        let secret = SecretKey::from_z85(SERVER_SECRET).unwrap();
        assert_eq!(secret.public().to_string(), SERVER_PUBLIC);
        assert_eq!(*secret.to_z85(), SERVER_SECRET);
        assert_eq!(SERVER_PUBLIC.parse::<PublicKey>(), Ok(secret.public()));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        assert_eq!("".parse::<PublicKey>(), Err(KeyError::Length(0)));
        assert_eq!("ж".repeat(20).parse::<PublicKey>(), Err(KeyError::Character(1)));
        assert_eq!("#".repeat(40).parse::<PublicKey>(), Err(KeyError::Character(5)));
        assert_eq!(format!("{}~", "0".repeat(39)).parse::<PublicKey>(), Err(KeyError::Character(40)));
        let wrong = "secret words".parse::<PublicKey>().unwrap_err();
        assert!(!wrong.to_string().contains("words"));
    }

    #[test]
    fn new_pairs_differ_and_are_not_printed() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        assert_ne!(one.public(), other.public());
        let shown = format!("{one:?}");
        assert!(shown.contains(&one.public().to_string()) && !shown.contains(&**one.secret().to_z85()), "{shown}");
    }

    proptest! {
        #[test]
        fn any_key_is_read_back(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(PublicKey(bytes).to_string().parse::<PublicKey>(), Ok(PublicKey(bytes)));
        }
    }
}
