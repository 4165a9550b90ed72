//! One server for all tests of a binary that get along with each other: each has its own users, and asks for nothing else.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::client::Client;
use super::database::Database;
use super::server::{Server, Setup, database};

/// A server with its database, running as long as somebody holds it. A plain static would outlive its process: nothing is
/// dropped at the end of a test binary, and the server is a process of its own.
pub struct Shared {
    pub server: Server,
    pub database: Database,
}

/// The server that runs, or a new one when nobody holds one.
pub fn shared() -> Arc<Shared> {
    static KEPT: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    // A test that panicked while the server started leaves nothing half done here.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = kept.upgrade() {
        return running;
    }
    let database = database();
    let server = Setup::on(&database).ready();
    let new = Arc::new(Shared { server, database });
    *kept = Arc::downgrade(&new);
    new
}

impl Shared {
    /// A client without a token.
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// A new user, logged in.
    pub fn user(&self) -> Client {
        self.client().new_user(&unused_email())
    }
}

/// An address that no other test of this process uses.
pub fn unused_email() -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    format!("user{}@example.com", SERIAL.fetch_add(1, Ordering::Relaxed))
}
