//! `/docs` in a real browser, against the real program on a real Postgres: Chromium, headless, with no way to any
//! host but the server's, so that what works here works with no internet.
//!
//! `make check` runs it, `make test` does not, for it needs Chromium and ChromeDriver.

mod server;
#[path = "../support/mod.rs"]
mod support;
mod webdriver;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use server::Server;
use webdriver::{Browser, agent};

/// The members of an OpenAPI path item that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

const PASSWORD: &str = "123456";

#[test]
fn the_page_shows_every_operation_of_the_document() {
    let server = Server::start();
    let document = get(&format!("{}/openapi.json", server.address));
    let expected: BTreeSet<String> = document["paths"]
        .as_object()
        .expect("the document has paths")
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("a path has methods");
            methods
                .keys()
                .filter(|key| METHODS.contains(&key.as_str()))
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert!(expected.contains("GET /api/contacts"), "{expected:?}");

    let browser = Browser::start();
    for page in ["/docs", "/docs/"] {
        browser.open(&format!("{}{page}", server.address));
        browser.text(OPERATION);
        let shown: BTreeSet<String> = browser
            .run(
                "return [...document.querySelectorAll('.opblock-summary')].map(row =>
                    row.querySelector('.opblock-summary-method').innerText.trim() + ' ' +
                    row.querySelector('.opblock-summary-path').dataset.path)",
            )
            .as_array()
            .expect("the script returns a list")
            .iter()
            .map(|row| row.as_str().expect("of strings").to_string())
            .collect();
        assert_eq!(shown, expected, "{page}");
        let asked = assert_only_the_server_was_asked(&browser, &server);
        for file in [page, "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"] {
            let file = format!("{}{file}", server.address);
            assert!(asked.contains(&file), "{file} is not in the log: {asked:?}");
        }
        assert_eq!(browser.complaints(), [""; 0], "{page}");
    }
}

#[test]
fn authorize_logs_in_and_try_it_out_lists_the_contacts() {
    let server = Server::start();
    let (email, token) = sign_up(&server, "lists");
    let (_, other) = sign_up(&server, "other");
    for (token, name) in [(&token, "Іван"), (&token, "Zoë"), (&other, "Stranger")] {
        let (status, body) =
            post(&format!("{}/api/contacts", server.address), Some(token), &json!({ "first_name": name }));
        assert_eq!(status, 201, "{body}");
    }

    let browser = Browser::start();
    browser.open(&format!("{}/docs", server.address));
    log_in(&browser, &email, PASSWORD);
    browser.click(LOGOUT_IS_OFFERED_BUT_CLOSE);
    browser.click(OPERATION);
    browser.click(&format!("{OPERATION_BLOCK}//button[contains(@class, 'try-out__btn')]"));
    browser.click(&format!("{OPERATION_BLOCK}//button[contains(@class, 'execute')]"));

    let answer = format!("{OPERATION_BLOCK}//table[contains(@class, 'live-responses-table')]/tbody/tr");
    let status = browser.text(&format!("{answer}/td[contains(@class, 'response-col_status')]"));
    assert_eq!(status, "200");
    let body = browser.text(&format!("({answer}//pre)[1]"));
    let contacts: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("JSON: {body}"));
    let names: Vec<_> = contacts
        .as_array()
        .expect("contacts are a list")
        .iter()
        .map(|contact| contact["first_name"].as_str().expect("a contact has a name"))
        .collect();
    assert_eq!(names, ["Іван", "Zoë"]);

    assert_only_the_server_was_asked(&browser, &server);
    assert_eq!(browser.complaints(), [""; 0]);
    let kept = browser.run("return localStorage.length + sessionStorage.length + document.cookie.length");
    assert_eq!(kept, 0, "the page leaves nothing behind in the browser");
}

/// An operation as the page shows it, open for trying out.
struct Operation<'a> {
    browser: &'a Browser,
    block: String,
}

impl<'a> Operation<'a> {
    fn open(browser: &'a Browser, tag: &str, id: &str) -> Operation<'a> {
        let block = format!("//*[@id='operations-{tag}-{id}']");
        browser.click(&format!("{block}//*[contains(@class, 'opblock-summary-control')]"));
        browser.click(&format!("{block}//button[contains(@class, 'try-out__btn')]"));
        Operation { browser, block }
    }

    fn parameter(&self, name: &str, value: &str) {
        self.browser.fill_in(&format!("{}//tr[@data-param-name='{name}']//input", self.block), value);
    }

    fn body(&self, value: &str) {
        self.browser.fill_in(&format!("{}//textarea[contains(@class, 'body-param__text')]", self.block), value);
    }

    /// Sends the request; waits until the page shows an answer of this status, and returns all that it shows of it.
    fn send(&self, status: &str) -> String {
        self.browser.click(&format!("{}//button[contains(@class, 'execute')]", self.block));
        let answer = format!("{}//table[contains(@class, 'live-responses-table')]/tbody/tr", self.block);
        let shown = format!("{answer}[td[contains(@class, 'response-col_status')][starts-with(., '{status}')]]");
        self.browser.text(&shown)
    }
}

#[test]
fn a_contact_is_added_found_changed_and_deleted_on_a_desktop_and_on_a_phone() {
    let server = Server::start();
    for width in [1280, 390] {
        let (email, token) = sign_up(&server, "walk");
        let browser = Browser::start();
        browser.resize(width);
        browser.open(&format!("{}/docs", server.address));
        log_in(&browser, &email, PASSWORD);
        browser.click(LOGOUT_IS_OFFERED_BUT_CLOSE);

        // The body that the page fills in is one that the API takes.
        let shown = Operation::open(&browser, "contacts", "create_contact").send("201");
        assert!(shown.contains("Франко") && shown.contains("etag: \"1\""), "{shown}");
        let contacts = get_with(&format!("{}/api/contacts", server.address), &token);
        let id = contacts[0]["id"].to_string();

        let list = Operation::open(&browser, "contacts", "list_contacts");
        list.parameter("q", "франко");
        assert!(list.send("200").contains("ivan@example.com"));

        let change = Operation::open(&browser, "contacts", "update_contact");
        change.parameter("id", &id);
        change.parameter("If-Match", "\"1\"");
        change.body(r#"{ "last_name": null }"#);
        assert!(change.send("200").contains("\"last_name\": null"));
        assert!(change.send("412").contains("has changed since you read it"));

        let delete = Operation::open(&browser, "contacts", "delete_contact");
        delete.parameter("id", &id);
        delete.send("204");

        // Not the window's inner width: on a phone that grows with what is too wide.
        let all = "document.documentElement";
        let sideways = browser.run(&format!("return {all}.scrollWidth - {all}.clientWidth"));
        assert!(sideways.as_i64() <= Some(0), "the page is {sideways} px wider than {width}");
        assert_only_the_server_was_asked(&browser, &server);
        // The console reports the 412 itself, and nothing else.
        for complaint in browser.complaints() {
            assert!(complaint.contains("412"), "{complaint}");
        }
    }
}

#[test]
fn an_operation_fits_on_a_screen_with_one_line_for_each_error() {
    let server = Server::start();
    let browser = Browser::start();
    browser.resize(1280);
    browser.open(&format!("{}/docs#/contacts/create_contact", server.address));
    let block = "//*[@id='operations-contacts-create_contact']";
    let missing = format!("{block}//tr[@data-code='422']//summary");
    assert_eq!(browser.text(&missing), "2 fields are invalid; see errors.");
    let height = browser.run("return document.querySelector('.opblock.is-open').getBoundingClientRect().height");
    assert!(height.as_f64() < Some(900.0), "{height} px");
    // It opens to the whole answer.
    assert!(!browser.shows(&format!("{block}//tr[@data-code='422']//pre")));
    browser.click(&missing);
    let example = browser.text(&format!("{block}//tr[@data-code='422']//pre"));
    assert!(example.contains("must be a date such as 2001-02-28"), "{example}");
    // Nothing is made up.
    let page = browser.text("//body");
    assert!(!page.contains("\"string\""), "{page}");
}

/// Opened as a reader meets it, with its parameters, its body and all its answers.
#[test]
fn every_operation_fits_on_the_screen_of_a_desktop_and_on_the_width_of_a_phone() {
    let server = Server::start();
    let document = get(&format!("{}/openapi.json", server.address));
    let paths = document["paths"].as_object().expect("the document has paths");
    let ids: Vec<_> = paths
        .values()
        .flat_map(|methods| METHODS.iter().filter_map(|method| methods.get(method)))
        .map(|operation| [&operation["tags"][0], &operation["operationId"]].map(|name| name.as_str().expect("a name")))
        .collect();
    assert!(ids.len() > 30, "{ids:?}");
    let browser = Browser::start();
    browser.resize(1280);
    browser.open(&format!("{}/docs", server.address));
    let measure =
        "const [open, ...more] = document.querySelectorAll('.opblock.is-open'), all = document.documentElement;
        return [more.length, open.getBoundingClientRect().height, all.scrollWidth - all.clientWidth]";
    let mut bad = Vec::new();
    for [tag, id] in ids {
        let block = format!("//*[@id='operations-{tag}-{id}']");
        let control = format!("{block}//*[contains(@class, 'opblock-summary-control')]");
        browser.click(&control);
        browser.text(&format!("{block}//tr[@data-code='503']//summary"));
        for (width, most) in [(390, f64::INFINITY), (1280, 900.0)] {
            browser.resize(width);
            let shown = browser.run(measure);
            let [others, height, wider] = [0, 1, 2].map(|at| shown[at].as_f64().expect("a number"));
            println!("{id} is {height} px high at {width}");
            if others > 0.0 || height > most || wider > 0.0 {
                bad.push(format!("{id} at {width}: {height} px high, {wider} px too wide, beside {others} open ones"));
            }
        }
        browser.click(&control);
        browser.until("closed operation", || {
            (browser.run("return !document.querySelector('.opblock.is-open')") == true).then_some(())
        });
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_wrong_password_does_not_log_in_and_says_so() {
    let server = Server::start();
    let (email, _) = sign_up(&server, "wrong");
    let browser = Browser::start();
    browser.open(&format!("{}/docs", server.address));
    log_in(&browser, &email, "654321");
    let error = browser.text("//*[contains(@class, 'auth-container')]//*[@class='errors']");
    assert!(error.contains("Unauthorized"), "{error}");
    assert!(!browser.shows(LOGOUT));
    // The form asks for nothing that the login does not take.
    for id in ["password_type", "client_id_password", "client_secret_password"] {
        assert!(!browser.shows(&format!("//*[@id='{id}']")), "{id}");
    }
    assert_only_the_server_was_asked(&browser, &server);
    // The console reports the 401 itself, and nothing else.
    for complaint in browser.complaints() {
        assert!(complaint.contains("/api/auth/login"), "{complaint}");
    }
}

/// The instrument of the tests above, shown a page that does ask someone else.
#[test]
fn a_request_to_anyone_else_would_be_seen_and_gets_no_answer() {
    let browser = Browser::start();
    for address in ["http://elsewhere.invalid/", "http://192.0.2.1/"] {
        browser.open(&format!("data:text/html,<img src={address}>"));
        let (mut sent, mut failed) = (Vec::new(), Vec::new());
        browser.until(&format!("failed request to {address}"), || {
            let (more_sent, more_failed) = browser.requests();
            sent.extend(more_sent);
            failed.extend(more_failed);
            let request = sent.iter().find(|request| request.url == address)?;
            failed.contains(&request.id).then_some(())
        });
    }
}

const OPERATION_BLOCK: &str = "//*[contains(@class, 'opblock-get')][.//*[@data-path='/api/contacts']]";
/// The heading of `GET /api/contacts`, which opens it.
const OPERATION: &str = "//*[contains(@class, 'opblock-get')]//*[@data-path='/api/contacts']";
const LOGOUT: &str = "//*[contains(@class, 'auth-container')]//button[text()='Logout']";
/// "Close", as soon as the form offers to log out: the login has worked.
const LOGOUT_IS_OFFERED_BUT_CLOSE: &str =
    "//*[contains(@class, 'auth-container')][.//button[text()='Logout']]//button[text()='Close']";

/// Fills in and sends Swagger UI's own form.
fn log_in(browser: &Browser, email: &str, password: &str) {
    browser.click("//*[contains(@class, 'auth-wrapper')]/button[contains(@class, 'authorize')]");
    browser.type_into("//input[@id='oauth_username']", email);
    browser.type_into("//input[@id='oauth_password']", password);
    browser.click("//*[contains(@class, 'auth-container')]//button[text()='Authorize']");
}

/// Fails on a request to anywhere else, and returns the addresses asked.
fn assert_only_the_server_was_asked(browser: &Browser, server: &Server) -> BTreeSet<String> {
    let (sent, failed) = browser.requests();
    assert!(!sent.is_empty(), "the log has the page's requests");
    for request in &sent {
        let own = request.url.strip_prefix(&server.address);
        assert!(own.is_some_and(|path| path.starts_with('/')), "{}", request.url);
        assert!(!failed.contains(&request.id), "{} failed", request.url);
    }
    sent.into_iter().map(|request| request.url).collect()
}

/// A new user: the email and an access token. Emails differ between runs, for a database may outlive one.
fn sign_up(server: &Server, name: &str) -> (String, String) {
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970");
    let email = format!("{name}.{}@example.com", now.as_nanos());
    let body = json!({ "username": name, "email": email, "password": PASSWORD });
    let (status, answer) = post(&format!("{}/api/auth/signup", server.address), None, &body);
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = post(&format!("{}/api/auth/login", server.address), None, &body);
    assert_eq!(status, 200, "{answer}");
    let token = answer["access_token"].as_str().expect("a token");
    (email, token.to_string())
}

fn post(url: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = agent().post(url).header("Content-Type", "application/json");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut response = request.send(body.to_string()).expect("an answer");
    let text = response.body_mut().read_to_string().expect("a body");
    (response.status().as_u16(), serde_json::from_str(&text).expect("JSON"))
}

fn get(url: &str) -> Value {
    get_with(url, "")
}

fn get_with(url: &str, token: &str) -> Value {
    let request = agent().get(url).header("Authorization", format!("Bearer {token}"));
    let mut response = request.call().expect("an answer");
    let text = response.body_mut().read_to_string().expect("a body");
    serde_json::from_str(&text).expect("JSON")
}
