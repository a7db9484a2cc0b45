//! A job as a tree of text, as it will run.

use std::fmt::Write;

use super::plan::{CallPlan, JobPlan, Node, OnError, Order, Work};
/// The tree: one line a task, in the order they run.
pub fn show(job: &JobPlan) -> String {
    let mut out = String::new();
    let order = match job.order {
        Order::Queue => "queue, first in, first out".to_owned(),
        Order::Stack => "stack, last in, first out".to_owned(),
        Order::Ring { rounds, interval } => {
            let rounds = rounds.map_or("for ever".to_owned(), |rounds| format!("{rounds} rounds"));
            format!("ring, {rounds}, one each {} ms", interval.as_millis())
        }
    };
    let pause = pause(job.pause.as_millis());
    line(&mut out, &format!("{}: {order}{pause}{}", job.name, on_error(job.on_error)));
    let last_first = job.order == Order::Stack;
    let tasks: Vec<&Node> = if last_first { job.tasks.iter().rev().collect() } else { job.tasks.iter().collect() };
    branches(&mut out, &tasks, "");
    out
}

fn branches(out: &mut String, tasks: &[&Node], indent: &str) {
    for (at, node) in tasks.iter().enumerate() {
        let (twig, deeper) = if at + 1 == tasks.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let name = node.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
        let what = match &node.work {
            Work::Call(call) => shown(call),
            Work::Group(group) => {
                let kind = if group.at_once { "gather, at the same time" } else { "serial, one after the other" };
                format!("{kind}{}{}", pause(group.pause.as_millis()), on_error(group.on_error))
            }
        };
        line(out, &format!("{indent}{twig}{}{name} {what}", node.place));
        if let Work::Group(group) = &node.work {
            branches(out, &group.tasks.iter().collect::<Vec<_>>(), &format!("{indent}{deeper}"));
        }
    }
}

fn shown(call: &CallPlan) -> String {
    let params: Vec<String> = call.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let query = if params.is_empty() { String::new() } else { format!("?{}", params.join("&")) };
    let (base, path) = (&call.base, &call.path);
    let signed = call.account().map_or(String::new(), |account| format!(", signed by {account}"));
    format!("{} GET {base}{path}{query} (weight {}{signed})", call.label(), call.weight)
}

fn pause(millis: u128) -> String {
    if millis == 0 { String::new() } else { format!(", {millis} ms between tasks") }
}

const fn on_error(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Continue => "",
        OnError::Stop => ", stops on errors",
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
