//! The OpenAPI document in the hands of programs that nobody of us wrote: linters, a tester that sends what the document allows
//! and forbids, and generators of clients, with whose code a contact is then made, found, changed and deleted.
//!
//! `make check` lets Redocly look, `make check-all` runs all of it; `setup.sh` beside this file installs the programs.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::Command;

use crate::support::server::{Server, Setup, database};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

/// Runs a program in the folder where the others are installed; what it says is shown if it fails.
fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) {
    let mut command = Command::new(format!("{FOLDER}/{program}"));
    let outcome = command.args(arguments).envs(environment.iter().copied()).current_dir(FOLDER).output();
    let output = outcome.expect("it is installed: run tests/clients/setup.sh, or `make check`");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
}

fn site(server: &Server) -> String {
    format!("http://{}", server.address)
}

#[test]
fn redocly_has_no_complaint() {
    let config = format!("--config={SOURCES}/redocly.yaml");
    let quiet = [("REDOCLY_TELEMETRY", "off"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")];
    run("node_modules/.bin/redocly", &["lint", &config, DOCUMENT], &quiet);
}

#[test]
fn spectral_has_no_complaint() {
    let ruleset = format!("--ruleset={SOURCES}/spectral.yaml");
    run("node_modules/.bin/spectral", &["lint", &ruleset, "--fail-severity=hint", DOCUMENT], &[]);
}

#[test]
fn schemathesis_finds_that_the_program_keeps_to_the_document() {
    let database = database();
    // Hundreds of made-up logins come from one address.
    let unlimited = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").with("ADDRESS_ATTEMPTS", "0");
    let server = unlimited.ready();
    let user = server.client().new_user("ivan@example.com");
    let token = format!("Authorization: Bearer {}", user.token.as_deref().expect("a token"));
    let (config, document) = (format!("--config-file={SOURCES}/schemathesis.toml"), site(&server) + "/openapi.json");
    let arguments = [
        config.as_str(),
        "run",
        &document,
        "--checks=all",
        "--header",
        &token,
        "--seed=1",
        "--max-examples=50",
        "--suppress-health-check=all",
        "--continue-on-failure",
    ];
    let hooks = format!("{SOURCES}/hooks.py");
    run("python/bin/schemathesis", &arguments, &[("SCHEMATHESIS_HOOKS", &hooks), ("PYTHONDONTWRITEBYTECODE", "1")]);
    user.get("/api/users/me").send().expect(200);
}

#[test]
fn a_typescript_client_is_strict_and_works() {
    let (server, _database) = Server::with_database();
    run("node_modules/.bin/openapi-typescript", &[DOCUMENT, "--output=api.d.ts"], &[]);
    fs::copy(format!("{SOURCES}/walk.ts"), format!("{FOLDER}/walk.ts")).expect("the folder is there");
    let strict = ["--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext", "walk.ts"];
    run("node_modules/.bin/tsc", &strict, &[]);
    let node = Command::new("node").args(["walk.js", &site(&server)]).current_dir(FOLDER).output().expect("Node runs");
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
}

#[test]
fn a_python_client_works() {
    let (server, _database) = Server::with_database();
    let generate = ["generate", "--path", DOCUMENT, "--meta=none", "--output-path=contactd_client", "--overwrite"];
    run("python/bin/openapi-python-client", &generate, &[]);
    run("python/bin/python", &[&format!("{SOURCES}/walk.py"), &site(&server)], &[("PYTHONPATH", FOLDER)]);
}
