//! The bus against libzmq, with the same subscribers and in alternating rounds, so that the machine's moods hit both:
//! CPU a frame, sustained rate, latency, and what a stalled subscriber costs. `TICKBUS_BENCH_BUS_SINK` and
//! `TICKBUS_BENCH_BUS_PUBLISHER` name the compiled C programs.

mod pair;
mod publish;

use anyhow::Context as _;

use self::pair::{Load, Outcome, Programs, Side};

/// Frames a second at which latency is measured.
const PACE: u64 = 50_000;
/// A subscriber of 300-byte frames; other loads say where they differ. The window is less than the bus's default queue.
const ONE: Load = Load {
    kind: "zmq",
    subscribers: 1,
    prefixes: 1,
    frames: 1_000_000,
    size: 300,
    window: 8_000,
    rate: 0,
    stalled: false,
};
/// Kilobytes a frame: as many as fill the default queue's bytes once.
const LARGE: Load = Load { frames: 100_000, size: 8 * 1024, window: 1_000, ..ONE };
const PACED: Load = Load { frames: 200_000, rate: PACE, ..ONE };

struct Bench {
    programs: Programs,
    rounds: usize,
    /// How much of each load is run.
    share: f64,
    verdicts: Vec<String>,
}

/// Both sides of one round.
struct Round {
    ours: Outcome,
    theirs: Outcome,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "publish") {
        return publish::main(&arguments[1..]);
    }
    let quick = arguments.iter().any(|word| word == "--quick");
    let program = |name: &str| std::env::var(name).with_context(|| format!("{name} must name the compiled program"));
    let programs =
        Programs { sink: program("TICKBUS_BENCH_BUS_SINK")?, publisher: program("TICKBUS_BENCH_BUS_PUBLISHER")? };
    let (rounds, share) = if quick { (3, 0.3) } else { (11, 1.0) };
    let mut bench = Bench { programs, rounds, share, verdicts: Vec::new() };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("bus against libzmq PUB on {cores} cores, {rounds} rounds in turn, medians; {}", load_average());
    bench.costs()?;
    bench.subscriptions()?;
    bench.latency()?;
    bench.stalled()?;
    println!("\n{}", load_average());
    bench.verdicts.iter().for_each(|verdict| println!("{verdict}"));
    Ok(())
}

/// How busy the machine is with other things: figures of a busy machine are noise.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load average {}", text.split(' ').next().unwrap_or("unknown"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Bench {
    /// CPU a frame and the sustained rate, by number of subscribers and size.
    fn costs(&mut self) -> anyhow::Result<()> {
        println!(
            "\n{:<26} {:>9} {:>9} {:>6} {:>11} {:>11} {:>6}",
            "", "us CPU", "libzmq", "ratio", "frames/s", "libzmq", "ratio"
        );
        let fan = |subscribers, frames| Load { kind: "raw", subscribers, frames, ..ONE };
        let large_fan = Load { kind: "raw", subscribers: 10, frames: 20_000, ..LARGE };
        let loads = [
            ("300 B, 1 subscriber", ONE, 1.1, Some(0.9)),
            ("300 B, 10 subscribers", fan(10, 300_000), 0.6, None),
            ("300 B, 50 subscribers", fan(50, 60_000), 0.5, None),
            ("8 KiB, 1 subscriber", LARGE, 1.0, Some(1.0)),
            ("8 KiB, 10 subscribers", large_fan, 1.0, Some(1.0)),
        ];
        for (name, load, cpu_target, rate_target) in loads {
            let rounds = self.rounds(&load)?;
            let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
            let (cpu, rate) = (of(&|r| r.ours.cpu / r.theirs.cpu), of(&|r| r.ours.rate / r.theirs.rate));
            println!(
                "{name:<26} {:>9.3} {:>9.3} {cpu:>6.2} {:>11.0} {:>11.0} {rate:>6.2}",
                of(&|r| r.ours.cpu) / 1e3,
                of(&|r| r.theirs.cpu) / 1e3,
                of(&|r| r.ours.rate),
                of(&|r| r.theirs.rate),
            );
            self.at_most(&format!("{name}: CPU a frame, of libzmq's"), cpu, cpu_target);
            if let Some(target) = rate_target {
                self.at_least(&format!("{name}: sustained rate, of libzmq's"), rate, target);
            }
        }
        Ok(())
    }

    /// What ten thousand subscriptions of one client cost, beside one.
    fn subscriptions(&mut self) -> anyhow::Result<()> {
        let mut ratios = Vec::new();
        for _ in 0..self.rounds {
            let one = self.run(Side::Ours, &ONE)?;
            let many = self.run(Side::Ours, &Load { prefixes: 10_000, ..ONE })?;
            ratios.push(many.cpu / one.cpu);
        }
        self.at_most("300 B: CPU a frame with 10,000 subscriptions, of that with one", median(ratios), 1.1);
        Ok(())
    }

    /// One-way latency at a fixed pace.
    fn latency(&mut self) -> anyhow::Result<()> {
        println!("\none-way latency at {PACE} frames/s, us          p50     p90     p99");
        let rounds = self.rounds(&PACED)?;
        let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        for (name, side) in
            [("ours", (|round| &round.ours) as fn(&Round) -> &Outcome), ("libzmq", |round| &round.theirs)]
        {
            let at = |share: f64| of(&|round| side(round).latency(share));
            println!("{name:<42} {:>7.0} {:>7.0} {:>7.0}", at(0.5), at(0.9), at(0.99));
        }
        let ratio = of(&|round| round.ours.latency(0.99) / round.theirs.latency(0.99));
        self.at_most(&format!("p99 at {PACE}/s, of libzmq's"), ratio, 1.5);
        Ok(())
    }

    /// A stalled subscriber beside a healthy one: the healthy one's latency, and the publisher's memory.
    fn stalled(&mut self) -> anyhow::Result<()> {
        let mut ratios = Vec::new();
        for _ in 0..self.rounds {
            let alone = self.run(Side::Ours, &PACED)?;
            let beside = self.run(Side::Ours, &Load { stalled: true, ..PACED })?;
            ratios.push(beside.latency(0.99) / alone.latency(0.99));
        }
        self.at_most(&format!("p99 at {PACE}/s beside a stalled subscriber, of that without"), median(ratios), 1.2);
        let load = Load { frames: 5_000_000, stalled: true, ..ONE };
        let outcome = self.run(Side::Ours, &load)?;
        // By then the stalled one's queue is full, as it stays.
        let settled = &outcome.memory[outcome.memory.len() / 10..];
        let (least, most) = (settled.iter().min().copied().unwrap_or(0), settled.iter().max().copied().unwrap_or(0));
        println!(
            "\nbeside a stalled subscriber: {least} to {most} KiB in use, {} frames dropped for it, none for the other",
            outcome.dropped
        );
        let middle = (least + most) as f64 / 2.0;
        self.at_most(
            "memory beside a stalled subscriber: half its range, of its middle",
            (most - least) as f64 / 2.0 / middle,
            0.1,
        );
        Ok(())
    }

    /// Both sides in turn, the order changing with each round.
    fn rounds(&self, load: &Load) -> anyhow::Result<Vec<Round>> {
        let round = |number: usize| {
            Ok(if number.is_multiple_of(2) {
                let ours = self.run(Side::Ours, load)?;
                Round { ours, theirs: self.run(Side::Libzmq, load)? }
            } else {
                let theirs = self.run(Side::Libzmq, load)?;
                Round { ours: self.run(Side::Ours, load)?, theirs }
            })
        };
        (0..self.rounds).map(round).collect()
    }

    fn run(&self, side: Side, load: &Load) -> anyhow::Result<Outcome> {
        let frames = (load.frames as f64 * self.share) as u64;
        self.programs.run(side, &Load { frames, ..*load })
    }

    fn at_most(&mut self, what: &str, value: f64, target: f64) {
        let word = if value <= target { "PASS" } else { "MISS" };
        self.verdicts.push(format!("{word} {what}: {value:.2}, target at most {target:.2}"));
    }

    fn at_least(&mut self, what: &str, value: f64, target: f64) {
        let word = if value >= target { "PASS" } else { "MISS" };
        self.verdicts.push(format!("{word} {what}: {value:.2}, target at least {target:.2}"));
    }
}
