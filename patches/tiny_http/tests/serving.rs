//! What an ordinary client sees.

mod support;

use support::*;
use tiny_http_hardened::Limits;

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
