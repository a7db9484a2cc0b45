//! What requests are signed with, venue by venue: one file each, pure, from a secret and the text to sign to the signature.
//! Its values are checked against worked examples of the venues' documentation.

pub mod okx;
