//! Who may connect to the gateway's sockets.

use super::*;

/// A config whose bus or control socket has this `auth`.
fn with_auth(section: &str, auth: serde_json::Value, bind: serde_json::Value) -> Layers {
    let mut config =
        json!({"feeds": {"a": {"venue": "acme", "market": "linear", "symbols": ["X"], "channels": ["trade"]}}});
    config[section] = bind;
    config[section]["auth"] = auth;
    let mut layers = layers(&config.to_string());
    layers.env = vec![("PASSWORD".into(), "right".into())];
    layers
}

#[test]
fn every_problem_of_an_auth_is_found_at_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (public, secret) = crate::zmtp::KeyPair::generate().unwrap().write(dir.path(), "gateway").unwrap();
    let cases = [
        (json!({"mechanism": "CURVE"}), vec!["bus.auth.clients: is missing", "bus.auth.key: is missing; make keys"]),
        (json!({"mechanism": "PLAIN"}), vec!["bus.auth.users: is missing; PLAIN needs"]),
        (
            json!({"mechanism": "curve"}),
            vec!["bus.auth.mechanism: unknown value \"curve\"; allowed: NULL, PLAIN, CURVE"],
        ),
        (json!({"users": {"a": {"env": "PASSWORD"}}}), vec!["bus.auth.users: is for bus.auth.mechanism PLAIN only"]),
        (
            json!({"mechanism": "PLAIN", "users": {"a": {"env": "NONE"}, "b": {}, "c": "password", "": {"env": "PASSWORD"}}}),
            vec![
                "bus.auth.users.c: expected {\"env\": \"NAME\"} or {\"file\": \"PATH\"}, got a string",
                "bus.auth.users[\"\"]: a user name has 1 to 255 bytes",
                "bus.auth.users.a: the environment variable NONE is not set",
                "bus.auth.users.b: needs either",
            ],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": public}, "clients": ["short", 5]}),
            vec![
                "bus.auth.clients[1]: expected a string, got 5",
                "bus.auth.clients[0]: a key has 40 characters (Z85), this text 5",
                "no `secret-key` in it",
            ],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": {"file": "/nowhere"}}),
            vec!["bus.auth.clients: /nowhere cannot be read"],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": "all"}),
            vec!["bus.auth.clients: allowed: a list of public keys, {\"file\": \"PATH\"} of a list, or \"any\""],
        ),
        (json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": []}), vec!["bus.auth.clients: is empty"]),
    ];
    for (auth, wanted) in cases {
        let problems = problems_of(with_auth("bus", auth.clone(), json!({})));
        assert_eq!(problems.len(), wanted.len(), "{auth}: {problems:#?}");
        for (problem, wanted) in problems.iter().zip(&wanted) {
            assert!(problem.contains(wanted), "{auth}: {problem:?} without {wanted:?}");
        }
    }
}

#[test]
fn beyond_loopback_strangers_are_kept_out_or_the_bus_is_public() {
    let dir = tempfile::tempdir().unwrap();
    let (public, secret) = crate::zmtp::KeyPair::generate().unwrap().write(dir.path(), "gateway").unwrap();
    let plain = || json!({"mechanism": "PLAIN", "users": {"alice": {"env": "PASSWORD"}}});
    let curve = |clients: serde_json::Value| json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": clients});
    let bus = || json!({"bind": ["tcp://*:1"], "snapshot_bind": "tcp://*:2"});
    let control = || json!({"bind": "tcp://*:3"});
    for auth in [
        plain(),
        curve(json!([std::fs::read_to_string(&public).unwrap().split('"').nth(1).unwrap()])),
        curve(json!({"file": dir.path()})),
    ] {
        let config = check(with_auth("bus", auth.clone(), bus())).unwrap();
        assert_eq!(config.security.bus.mechanism(), auth["mechanism"]);
        assert_eq!((config.security.control.mechanism(), config.security.notes.len()), ("NULL", 0));
        check(with_auth("control", auth, control())).unwrap();
    }
    for auth in [json!({}), curve(json!("any"))] {
        let problems = problems_of(with_auth("bus", auth.clone(), bus()));
        assert!(problems.len() == 2 && problems[0].contains("bus.public"), "{problems:#?}");
        let problems = problems_of(with_auth("control", auth.clone(), control()));
        assert!(problems.len() == 1 && problems[0].contains("control.auth"), "{problems:#?}");
        let mut open = bus();
        open["public"] = json!(true);
        check(with_auth("bus", auth, open)).unwrap();
    }
    let shown = format!("{:?}", check(with_auth("bus", plain(), bus())).unwrap());
    assert!(shown.contains("PASSWORD") && !shown.contains("right"), "{shown}");
}

#[test]
fn secrets_that_everyone_may_read_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "right").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let auth = json!({"mechanism": "PLAIN", "users": {"alice": {"file": path}}});
    let config = check(with_auth("control", auth, json!({}))).unwrap();
    assert!(config.security.notes[0].starts_with("control.auth.users.alice: every user may read"));
}

#[test]
fn beyond_loopback_a_token_will_do_for_the_control_socket() {
    let control = |token: serde_json::Value| {
        let mut layers = with_auth("control", json!({}), json!({"bind": "tcp://*:3", "token": token}));
        layers.env.push(("LONG".into(), "a token of 22 letters!".into()));
        layers.env.push(("SHORT".into(), "abc".into()));
        layers
    };
    let config = check(control(json!({"env": "LONG"}))).unwrap();
    assert!(config.security.token.is_some() && config.security.notes.is_empty(), "{:?}", config.security.notes);
    assert!(!format!("{config:?}").contains("22 letters"));
    let short = check(control(json!({"env": "SHORT"}))).unwrap();
    assert!(short.security.notes[0].contains("can be guessed") && !short.security.notes[0].contains("abc"));
    let problems = problems_of(control(json!({"env": "NOWHERE"})));
    assert!(problems[0].contains("control.token") && problems[0].contains("NOWHERE"), "{problems:#?}");
}

#[test]
fn a_state_file_needs_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let control = |path: std::path::PathBuf| with_auth("control", json!({}), json!({"state_file": path}));
    check(control(dir.path().join("state.json"))).unwrap();
    check(control("state.json".into())).unwrap();
    for (path, wanted) in
        [(dir.path().join("none/state.json"), "there is no folder"), (dir.path().to_owned(), "is no file")]
    {
        let problems = problems_of(control(path));
        assert!(problems.len() == 1 && problems[0].contains(wanted), "{problems:#?}");
    }
}

#[test]
fn credentials_name_where_they_come_from_and_never_what_they_are() {
    let feed = |credentials: serde_json::Value| {
        let feed = json!({"symbols": ["BTC-USDT"], "channels": ["trade"], "credentials": credentials});
        let mut layers = feeds(json!({"a": feed}));
        layers.set.extend(["feeds.a.venue=okx".into(), "feeds.a.market=spot".into()]);
        layers.env.push(("KEY".into(), "swordfish".into()));
        layers
    };
    let all = json!({"key": {"env": "KEY"}, "secret": {"env": "KEY"}, "passphrase": {"env": "KEY"}});
    let of_okx = |layers: Layers| layers.check_with(&[&crate::venue::okx::VENUE]);
    let config = of_okx(feed(all)).unwrap();
    let credentials = &config.feeds[0].signer.as_ref().unwrap().credentials;
    assert_eq!(credentials.passphrase.as_ref().map(|text| text.reveal()), Some("swordfish"));
    assert!(!format!("{config:?}").contains("swordfish"));
    for (wrong, wanted) in [
        (json!({"key": {"env": "KEY"}}), "credentials.secret"),
        (json!({"key": "swordfish", "secret": {"env": "KEY"}}), "credentials.key"),
        (json!({"key": {"env": "KEY"}, "secret": {"env": "NONE"}}), "credentials.secret"),
        (
            json!({"key": {"env": "KEY"}, "secret": {"env": "KEY"}, "passphrase": {"env": "KEY"}, "pin": {"env": "KEY"}}),
            "credentials.pin",
        ),
    ] {
        let problems = of_okx(feed(wrong)).unwrap_err().0;
        assert!(problems.len() == 1 && problems[0].to_string().contains(wanted), "{problems:#?}");
    }
}
