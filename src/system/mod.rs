//! The program and the operating system: the log, memory, file descriptors, the listening socket, systemd.

pub mod descriptors;
pub mod listener;
pub mod log;
pub mod memory;
pub mod systemd;
