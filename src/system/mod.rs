//! The program and the operating system: the log, memory, file descriptors.

pub mod descriptors;
pub mod log;
pub mod memory;
