//! Policies side by side on one worker.

use std::fs;

use serde_json::{Value, json};

use super::harness::{Service, data_dir, for_all};

/// Two languages that differ in the policy of their programs alone: one lets them read `/etc`.
fn profiles() -> tempfile::TempDir {
    let directory = data_dir();
    for_all(directory.path());
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles");
    let read = |name: &str| fs::read_to_string(format!("{built_in}/{name}")).unwrap();
    let (language, policy) = (read("languages/python.toml"), read("policies/default.toml"));
    let change = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    for name in ["languages", "policies"] {
        fs::create_dir(directory.path().join(name)).unwrap();
        for_all(&directory.path().join(name));
    }
    for (name, readable) in [("open", "\"/etc\", "), ("closed", "")] {
        let policy = change(&policy, "name = \"default\"", &format!("name = \"{name}\""));
        let policy = change(
            &policy,
            "read = [\"/etc\", ",
            &format!("read = [{readable}"),
        );
        let language = change(&language, "id = \"python\"", &format!("id = \"{name}\""));
        let language = change(
            &language,
            "policy = \"default\"",
            &format!("policy = \"{name}\""),
        );
        let language = change(&language, "aliases = [", "aliases = [] # [");
        fs::write(
            directory.path().join(format!("policies/{name}.toml")),
            policy,
        )
        .unwrap();
        fs::write(
            directory.path().join(format!("languages/{name}.toml")),
            language,
        )
        .unwrap();
    }
    directory
}

fn reads_etc(service: &Service, language: &str) -> bool {
    let source =
        "try: print(len(open('/etc/hosts').read()) > 0)\nexcept PermissionError: print('no')";
    let request: Value = json!({"language": language, "source": source});
    let answer = service.run(&request);
    match answer["run"]["stdout"].as_str() {
        Some("True\n") => true,
        Some("no\n") => false,
        _ => panic!("{answer}"),
    }
}

#[test]
fn a_sandbox_that_was_made_ready_for_one_policy_enforces_that_of_its_job() {
    let profiles = profiles();
    let directory = profiles.path().to_str().unwrap();
    // Interpreters that are started ahead are all under the right policy from the beginning.
    let config = profiles.path().join("config.toml");
    fs::write(&config, "prestarted = 0\n").unwrap();
    let config = config.to_str().unwrap();
    let args = [
        "--workers",
        "1",
        "--profiles",
        directory,
        "--config",
        config,
    ];
    let service = Service::start(&args);
    for language in ["open", "open", "closed", "closed", "open", "closed", "open"] {
        assert_eq!(
            reads_etc(&service, language),
            language == "open",
            "{language}"
        );
    }
    assert!(service.stop().success());
}
