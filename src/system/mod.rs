//! The program and the operating system: the log, memory, file descriptors, systemd.

pub mod descriptors;
pub mod log;
pub mod memory;
pub mod systemd;
