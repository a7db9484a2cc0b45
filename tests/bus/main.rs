//! The bus on real sockets: against our own raw peers, the `zeromq` crate, and libzmq through Python.

mod hostile;
mod libzmq;
mod publishing;
mod raw;
mod requests;
mod slow;
