//! Accounts and signing on the command line: `tickbus check` and `tickbus sign --check`, their words and exit codes.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CANARY: &str = "canary-0f3e";

fn tickbus(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("TICKBUS") || name == "RUST_LOG" || name == "PYBOTTERS_APIS" {
            command.env_remove(name.as_ref());
        }
    }
    command.args(arguments).envs(env.iter().copied()).current_dir(ROOT).output().unwrap()
}

/// Exit code, stdout and stderr, which hold no key.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains(CANARY) && !err.contains(CANARY), "{out}{err}");
    (output.status.code().unwrap(), out, err)
}

#[test]
fn check_says_which_accounts_are_usable_for_what_and_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let apis = write("apis.json", &json!({"bybit": ["K", CANARY], "okx": ["K", CANARY]}).to_string(), 0o600);
    let secret = write("secret", CANARY, 0o644);
    let config = json!({
        "feeds": {"a": {"venue": "bybit", "market": "linear", "symbols": ["BTCUSDT"], "channels": ["trade"],
                        "account": "mine", "rest_url": "https://api-demo.bybit.com"}},
        "accounts": {"mine": {"api": "bybit_demo", "key": {"env": "K"}, "secret": {"file": secret}}},
    });
    let config = write("config.json", &config.to_string(), 0o600);
    let env = [("K", CANARY), ("PYBOTTERS_APIS", apis.as_str())];
    let (code, out, err) = said(&tickbus(&["check", "--config", &config], &env));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for line in [
        format!(
            "note       accounts.mine.secret: others than its owner may reach {secret:?} (mode 644); let only its owner: chmod 600"
        ),
        format!("account bybit: bybit (from {apis}), usable, for api.bybit.com, api.bytick.com and 9 more"),
        "account mine: bybit_demo (from config), usable, for api-demo.bybit.com, stream-demo.bybit.com".to_owned(),
        format!("account okx: okx (from {apis}), not usable: okx needs a passphrase"),
    ] {
        assert!(out.lines().any(|known| known == line), "{line}\n{out}");
    }
    // What a feed cannot have, the gateway does not start without.
    let (code, _, err) = said(&tickbus(&["check", "--config", &config], &[]));
    assert_eq!(code, 2);
    let wanted = "feeds.a.account: the account mine cannot be used: key: the environment variable K is not set";
    assert!(err.contains(wanted), "{err}");
}

#[test]
fn sign_check_tells_what_matches_from_what_does_not_and_from_what_is_no_such_file() {
    let (code, out, err) = said(&tickbus(&["sign", "--check", "tests/golden/signing"], &[]));
    assert!(out.ends_with(" 0 mismatches\n") && out.lines().count() == 1, "{out}");
    assert_eq!((code, err.as_str()), (0, ""));

    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let golden = std::fs::read_to_string(Path::new(ROOT).join("tests/golden/signing/bitflyer.json")).unwrap();
    write("good.json", &golden);
    write("notes.txt", "no vectors");
    let name = golden.split("\"secret\": \"").nth(1).unwrap().split("\",").next().unwrap().to_owned();
    write("other.json", &golden.replace(&format!("\"secret\": \"{name}\""), &format!("\"secret\": \"{CANARY}\"")));
    let folder = dir.path().to_str().unwrap();
    let (code, out, err) = said(&tickbus(&["sign", "--check", folder], &[]));
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let (good, other) = (format!("{folder}/good.json"), format!("{folder}/other.json"));
    assert!(out.contains(&format!("{other}: rest ")) && out.contains("headers.ACCESS-SIGN: expected \""), "{out}");
    assert!(!out.contains(&good) && out.lines().last().unwrap().starts_with("2 files, "), "{out}");

    write("none.json", "{\"schema\": \"other/1\"}");
    let (code, out, err) = said(&tickbus(&["sign", "--check", folder, &good], &[]));
    assert_eq!(code, 2);
    assert!(err.contains("none.json: no file of signing vectors: its schema is not signing-vectors/1"), "{err}");
    assert!(out.contains(&other), "the others are checked all the same: {out}");
    for missing in ["/nowhere/x.json", dir.path().join("empty").to_str().unwrap()] {
        std::fs::create_dir_all(dir.path().join("empty")).unwrap();
        assert_eq!(said(&tickbus(&["sign", "--check", missing], &[])).0, 2, "{missing}");
    }
    assert_eq!(said(&tickbus(&["sign"], &[])).0, 2);
}
