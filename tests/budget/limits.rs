//! The numbers. One is raised only with the reason in the commit that does it.

/// Round trips to Postgres, by request.
pub const ROUND_TRIPS: &[(&str, u64)] = &[
    ("GET /api/healthchecker", 1),
    ("GET /api/users/me", 1),
    ("GET /api/contacts", 1),
    ("GET /api/contacts?first_name=a&sort=-last_name", 1),
    ("GET /api/contacts?count=true", 2),
    ("GET /api/contacts/{id}", 1),
    ("GET /api/contacts/upcoming_birthdays?today=2026-01-01", 1),
    ("POST /api/contacts", 1),
    ("PUT /api/contacts/{id}", 1),
    ("PATCH /api/contacts/{id}", 1),
    ("GET /api/contacts/trash", 1),
    ("GET /livez", 0),
    ("GET /openapi.json", 0),
];

/// System calls of a point read over the one keep-alive connection that there is, housekeeping included. Six are needed: to
/// receive and to send on the client's side; on the database's, by the way the postgres crate drives its connection, one look,
/// one send, one wait (two on a Unix socket), one receive. The others wake the thread that watches connections and a worker that sleeps, which
/// many connections at once share (measured: 9.5 for one).
pub const SYSTEM_CALLS: f64 = 12.0;

/// Statements, voluntary context switches and system calls of a point read when 32 connections read at once (measured: 0.09,
/// 0.12 and 2.6; 1, 1.3 and 6.2 when each read had a statement of its own).
pub const TOGETHER: [f64; 3] = [0.2, 0.4, 4.0];

/// Threads that 300 writes over one connection may start. Each write once started one of its own.
pub const THREADS_FOR_WRITES: u64 = 3;

/// Allocations of a point read, from the plain request to the response (measured: 20).
pub const ALLOCATIONS: u64 = 22;

/// Instructions in user space on a keep-alive connection: of a point read, of a list with one contact, of a create, with an access
/// token that was verified before (measured: 61,200 to 63,000, 59,600 to 60,900, 72,900 to 76,100; to verify it each time took
/// 54,000 more).
pub const INSTRUCTIONS: [u64; 3] = [66_000, 65_000, 80_000];

/// Bytes of the release build, the documentation in it.
pub const BINARY: u64 = 6_000_000;

/// Packages that the program is made from, its own included.
pub const PACKAGES: usize = 140;

/// KiB of resident memory before the first request, and after some thousand.
pub const IDLE_KIB: u64 = 8 * 1024;
/// See [`IDLE_KIB`].
pub const LOADED_KIB: u64 = 16 * 1024;

/// Threads of the idle program, by core: two for reads; the others are one each for connections, housekeeping and its jobs, the
/// pool, the watch over the lanes, the log, and signals.
pub const THREADS_PER_CORE: usize = 6;
