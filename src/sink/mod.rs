//! Sinks: where frames go besides the bus's own sockets. Each reads the bus as a subscriber of this process does, so that
//! no feed ever waits for it.

pub mod redis;
