//! In place of TLS to the database, in a build without it.

/// Nothing is ever connected by it.
pub type Tls = postgres::NoTls;

/// There is none.
pub fn client(_: &str, _: Option<&str>) -> Result<Tls, String> {
    Err("asks for TLS, which this build does not have: build it with the feature tls".to_owned())
}
