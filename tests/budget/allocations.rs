//! Allocations of a point read, counted by an allocator of this test's own. The program is called without its server, in this
//! process: `App::handle` is all of a request between the socket's two ends.
#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use contactd::api::app::App;
use contactd::config::Values;
use contactd::http::Request;
use serde_json::json;

use crate::limits::ALLOCATIONS;
use crate::support::random_secret;
use crate::support::server::{Setup, database};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_point_read_allocates_no_more_than_its_budget() {
    let database = database();
    let secret = random_secret();
    let server = Setup::on(&database).with("JWT_SECRET", &secret).ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "Іван", "last_name": "Франко", "birthday": "1990-05-17" }));

    let settings = [("DATABASE_URL".to_owned(), database.url()), ("JWT_SECRET".to_owned(), secret)];
    let app = App::new(&Values::new(settings).config().expect("right settings"));
    app.context.store.migrate().expect("the database is there");
    let token = user.token.expect("a token");
    let head = format!("GET /api/contacts/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n");
    let peer = "127.0.0.1:1".parse().expect("an address");
    let read = || {
        app.context.revocations.refresh(&app.context.store).expect("the database is there");
        let request = Request::from_head(head.as_bytes(), peer).expect("a request");
        let before = COUNT.get();
        let response = app.handle(&request);
        let made = COUNT.get() - before;
        assert_eq!(response.status, 200);
        made
    };
    // The first ones open a connection and prepare the statement.
    let least = (0..20).map(|_| read()).min().expect("some reads");
    println!("allocations of a point read: {least}");
    assert!(least <= ALLOCATIONS, "{least} allocations, {ALLOCATIONS} are allowed");
}
