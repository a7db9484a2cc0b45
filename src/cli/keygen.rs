//! `tickbus keygen`: a key pair for CURVE.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::zmtp::KeyPair;

/// Arguments of `tickbus keygen`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes DIR/NAME.key (public, to be shown to others) and DIR/NAME.key_secret (both keys, mode 0600),
in the layout of pyzmq. Files that are there already are never overwritten.

Examples:
  tickbus keygen keys --name gateway     once, for the gateway
  tickbus keygen keys --name alice       once for each client, best where the client runs"
)]
pub struct Args {
    /// Folder for the files; made, for its owner alone, if it is missing.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the files.
    #[arg(long, value_name = "NAME", default_value = "tickbus", value_parser = file_name)]
    pub name: String,
}

/// A plain name: no folder, and nothing that a shell would take apart.
fn file_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a name has letters, digits, `-`, `_` and `.`, and does not begin with a dot".to_owned())
    }
}

/// Makes a pair, writes it, and prints the public key and what to do with it.
///
/// # Errors
/// A file is there already or cannot be written, or the system gives no random bytes.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let pair = KeyPair::generate()?;
    let (public, secret) = pair.write(&args.dir, &args.name)?;
    let (public, secret) = (public.display(), secret.display());
    super::print(&format!(
        "public key  {key}
public      {public}
secret      {secret}  (keep it, show it to nobody)

For a gateway, in config.json under \"bus\", \"control\" or both:
  \"auth\": {{\"mechanism\": \"CURVE\", \"key\": {{\"file\": \"{secret}\"}}, \"clients\": {{\"file\": \"CLIENTS\"}}}}
and give its clients the public key. For a client, put the public key as a line into the gateway's CLIENTS, have it read
again with `tickbus ctl reload`, and connect with
  tickbus-sub ENDPOINT --server-key GATEWAYS_PUBLIC_KEY --key {secret}
",
        key = pair.public(),
    ))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_folder() {
        for good in ["gateway", "alice-2", "a_b.c"] {
            assert!(file_name(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/b", ".hidden", "a b", "ä"] {
            assert!(file_name(bad).is_err(), "{bad}");
        }
    }
}
