//! What an ordinary client sees.

use super::support::*;
use contactd::http::Limits;

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = start(Limits::default());
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.get("/hello?x=1");
        assert_eq!((reply.status, reply.text().trim_end()), (200, "GET /hello?x=1 0"));
        assert_eq!(reply.header("connection"), None);
    }
    server.stop();
}

#[test]
fn debug_output_of_a_request_holds_nothing_secret() {
    let server = start(Limits::default());
    let head = "POST /debug/secret.ics?q=secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n";
    let said = server.exchange(format!("{head}Content-Length: 6\r\nConnection: close\r\n\r\nsecret").as_bytes());
    assert!(said.contains("Request {") && said.contains("127.0.0.1"), "{said:?}");
    assert!(!said.contains("secret"), "{said:?}");
    assert!(!said.contains("115, 101, 99"), "{said:?}");
    server.stop();
}
