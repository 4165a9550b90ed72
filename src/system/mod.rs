//! What the program and the operating system have with each other: the log, memory, file descriptors.

pub mod descriptors;
pub mod log;
pub mod memory;
