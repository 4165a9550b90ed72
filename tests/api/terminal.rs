//! The first hour at a terminal: what curl's own defaults meet, and what the program says of itself.

use std::net::TcpListener;
use std::process::Output;

use serde_json::json;

use crate::support::client::Answer;
use crate::support::server::{Server, command};
use crate::support::shared::{shared, unused_email};

#[track_caller]
fn assert_ends_with_newline(answer: &Answer) {
    let text = answer.text();
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "a prompt would stick to {text:?}");
}

#[test]
fn json_answers_end_with_a_newline() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let made = ivan.post("/api/contacts", &json!({ "first_name": "Іван" })).send().expect(201);
    assert_ends_with_newline(&made);
    for path in ["/", "/livez", "/openapi.json", "/api/users/me", "/api/contacts", "/api/contacts/export", "/nowhere"] {
        assert_ends_with_newline(&ivan.get(path).send());
    }
    assert_ends_with_newline(&ivan.post("/api/contacts", &json!({})).send().expect(422));
    let refused = ivan.request("POST", "/api/contacts").header("Content-Length", "x").send();
    assert_ends_with_newline(&refused);
}

/// `curl -d '{…}'` says that it sends a form.
#[test]
fn json_that_says_it_is_a_form_is_told_what_to_say() {
    let shared = shared();
    let user = shared.user();
    let bodies = [r#"{"email":"a@example.com"}"#, " \n\t[1]", "\u{feff}{}", "{"];
    for path in ["/api/auth/login", "/api/auth/refresh_token", "/api/contacts", "/api/contacts/import"] {
        for body in bodies {
            let form = user.request("POST", path).header("Content-Type", "application/x-www-form-urlencoded");
            let answer = form.body(body).send().expect(415);
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(
                detail.contains("looks like JSON") && detail.contains("Content-Type: application/json"),
                "{detail}"
            );
            assert!(answer.header("Accept").is_some_and(|takes| takes.contains("application/json")), "{path}");
        }
    }
}

#[test]
fn a_form_that_holds_braces_is_still_a_form() {
    let email = unused_email();
    let shared = shared();
    let client = shared.client();
    let signup = json!({ "username": "A", "email": email, "password": "{12345" });
    client.post("/api/auth/signup", &signup).send().expect(201);
    let form = client.request("POST", "/api/auth/login").header("Content-Type", "application/x-www-form-urlencoded");
    form.body(format!("username={email}&password={{12345")).send().expect(200);
}

/// `curl -F file=@contacts.vcf` sends a multipart form.
#[test]
fn a_multipart_form_is_told_to_send_the_file_itself() {
    let shared = shared();
    let user = shared.user();
    let form = user.request("POST", "/api/contacts/import").header("Content-Type", "multipart/form-data; boundary=x");
    let answer = form.body("--x\r\n\r\n--x--\r\n").send().expect(415);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("text/vcard") && detail.contains("--data-binary @FILE"), "{detail}");
}

#[test]
fn a_browser_lands_on_the_documentation_and_others_get_the_index() {
    let shared = shared();
    let client = shared.client();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for accept in [browser, "TEXT/HTML", "application/xhtml+xml, text/html;q=0.5"] {
        let answer = client.get("/").header("Accept", accept).send().expect(303);
        assert_eq!((answer.header("Location"), answer.header("Vary")), (Some("/docs"), Some("Accept")));
        assert!(answer.body.is_empty());
    }
    for accept in ["*/*", "application/json", "text/*", "text/htmlx"] {
        let answer = client.get("/").header("Accept", accept).send();
        assert_eq!((answer.status, answer.header("Vary")), (200, Some("Accept")), "{accept}");
        assert_eq!(answer.json()["docs"], "/docs");
    }
    assert_eq!(client.get("/").send().status, 200);
}

fn run(settings: &[(&str, String)], arguments: &[&str]) -> Output {
    let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    command(&settings).args(arguments).output().expect("the program starts")
}

#[test]
fn help_and_version_are_words_and_flags() {
    for (word, flag, holds) in [("help", "--help", "DATABASE_URL"), ("version", "--version", "contactd 0.")] {
        let [by_word, by_flag] = [word, flag].map(|argument| run(&[], &[argument]));
        assert_eq!(by_word.status.code(), Some(0));
        assert_eq!(by_word.stdout, by_flag.stdout);
        assert!(String::from_utf8(by_word.stdout).unwrap().contains(holds));
    }
}

/// Whoever starts the program for the first time learns in one go what it needs.
#[test]
fn everything_that_is_missing_or_wrong_is_told_at_once() {
    let settings = [("LOG", "loud".to_owned()), ("WORKERS", "0".to_owned()), ("LISTEN", "here".to_owned())];
    for arguments in [&[][..], &["serve"]] {
        let output = run(&settings, arguments);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let named: Vec<_> =
            said.lines().filter_map(|line| line.strip_prefix("contactd: ")?.split(' ').next()).collect();
        assert_eq!(named, ["DATABASE_URL", "LISTEN", "JWT_SECRET", "LOG", "WORKERS"], "{said}");
    }
}

#[test]
fn a_taken_port_is_told_with_another_to_try() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none".to_owned()),
        ("JWT_SECRET", crate::support::random_secret()),
        ("LISTEN", address.to_string()),
    ];
    let output = run(&settings, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let next = format!("such as LISTEN=127.0.0.1:{}", address.port().wrapping_add(1));
    assert!(said.contains(&address.to_string()) && said.contains(&next), "{said}");
}
