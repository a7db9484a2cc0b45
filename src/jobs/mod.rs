//! REST jobs: calls one by one, one after the other, side by side or again and again, whose results go onto the bus.
//!
//! A job is a tree: calls, and groups of tasks that run in series or at the same time. Its uppermost tasks run in the order
//! of a queue (first in, first out), of a stack (last in, first out), or round and round as a ring.

mod bus;
mod desk;
#[cfg(test)]
mod desk_tests;
mod frames;
mod http;
mod plan;
mod pull;
mod result;
mod run;
mod running;
mod show;
#[cfg(test)]
mod tests;
mod turns;

pub use desk::{Desk, DeskError, Results};
pub use frames::{Beside, Frames, SourceOf, Sources};
pub use http::RestCaller;
pub use plan::{CallPlan, Group, JobPlan, Node, OnError, Order, Work};
pub use result::{Answer, Failure, TaskResult};
pub use run::{Boxed, Caller, Outcome, Runner, Sink};
pub use running::{JobReport, Origin, Phase, RunningJob};
pub use show::show;
pub use turns::{Turn, Turns};
