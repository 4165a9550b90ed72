//! File descriptors: how many the system allows the program, and how many connections that leaves room for.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The listener, the standard streams and the like, with room for a file that is being read.
const OWN: usize = 16;
/// A connection to the database: its socket, and those that the runtime inside the postgres crate polls it with.
const DATABASE: usize = 4;
/// Clients that are turned away stay connected for a moment, to read why. Further ones are closed at once.
const TURNED_AWAY: usize = 128;

/// How many of the `wanted` client connections fit beside `database_connections`. A client beyond them gets a 503; if there
/// were no descriptors left it would get nothing, and the database could not be reached either.
///
/// Raises the soft limit as far as needed: shells set it to 1,024 for the sake of programs that call `select`.
pub fn connections(wanted: usize, database_connections: usize) -> usize {
    let needed = wanted + TURNED_AWAY + OWN + database_connections * DATABASE;
    let allowed = raise(u64::try_from(needed).unwrap_or(u64::MAX));
    let fitting = fitting(database_connections, usize::try_from(allowed).unwrap_or(usize::MAX));
    if fitting < wanted {
        log::warn!(
            "MAX_CONNECTIONS is {fitting}, not {wanted}: the system allows {allowed} file descriptors (ulimit -n)"
        );
    }
    fitting.min(wanted)
}

fn fitting(database_connections: usize, allowed: usize) -> usize {
    let room = allowed.saturating_sub(OWN + database_connections * DATABASE);
    room.saturating_sub(TURNED_AWAY.min(room / 4)).max(1)
}

/// Raises the soft limit to `needed`, as far as the hard limit allows, and returns it.
fn raise(needed: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let (current, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum);
    let wanted = needed.min(hard.unwrap_or(u64::MAX));
    if current >= wanted {
        return current;
    }
    limit.current = Some(wanted);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_for_the_rest_is_kept() {
        // Exactly as many as are asked for at startup.
        assert_eq!(fitting(7, 1024 + TURNED_AWAY + OWN + 7 * DATABASE), 1024);
        assert_eq!(fitting(7, 1024), 1024 - TURNED_AWAY - OWN - 7 * DATABASE);
        assert_eq!(fitting(7, 128), 63);
        for allowed in 0..2000 {
            for database_connections in [1, 7, 500] {
                assert!(fitting(database_connections, allowed) >= 1);
                assert!(fitting(database_connections, allowed) <= allowed.max(1));
            }
        }
    }

    #[test]
    fn the_limit_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current;
        assert!(raise(1) >= 1);
        assert_eq!(getrlimit(Resource::Nofile).current, before);
    }
}
