//! Connections as the pool makes and drops them.

use postgres::{Client, NoTls, Row};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;

/// A connection that has carried an answer of so many bytes is not used again. The postgres crate reads into one buffer for
/// as long as a connection lives, and it never shrinks: a list of 10 MB left 16 MiB in each of the pool's connections. Few
/// answers are so large, and what they cost otherwise is far more than to connect anew.
const LARGE: usize = 1 << 20;

/// A client of the database.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// It has carried a large answer.
    is_spent: bool,
}

impl Connection {
    /// Notes what an answer took.
    pub fn note(&mut self, rows: &[Row]) {
        let bytes: usize = rows.iter().map(Row::raw_size_bytes).sum();
        self.is_spent |= bytes > LARGE;
    }
}

/// r2d2_postgres's manager, but for spent connections.
#[derive(Debug)]
pub struct Manager(pub PostgresConnectionManager<NoTls>);

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = postgres::Error;

    fn connect(&self) -> Result<Connection, postgres::Error> {
        self.0.connect().map(|client| Connection { client, is_spent: false })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), postgres::Error> {
        self.0.is_valid(&mut connection.client)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_spent || self.0.has_broken(&mut connection.client)
    }
}
