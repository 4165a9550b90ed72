//! The program on a database of its own, by the address that a browser takes.

use crate::support::database::Database;
use crate::support::server;

/// A running server. Its parts are dropped in their order: the program before its database.
pub struct Server {
    /// Such as `http://127.0.0.1:40123`.
    pub address: String,
    _program: server::Server,
    _database: Database,
}

impl Server {
    /// Ready to work.
    pub fn start() -> Server {
        let (program, database) = server::Server::with_database();
        Server { address: format!("http://{}", program.address), _program: program, _database: database }
    }
}
