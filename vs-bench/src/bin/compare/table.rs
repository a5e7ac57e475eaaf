//! The table of the bars: ours, what it is held against, and whether that was reached.

use std::fs;
use std::process::Command;

use vs_bench::process::output;
use vs_bench::samples::Samples;

use crate::args::{Args, Section};
use crate::measure::{FULL_BYTES, MEMBERS, SEALED, SIZES};

/// What a value is compared with.
type Beside = (&'static str, Option<f64>);

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
enum Goal {
    None,
    /// So much, or so many times something else.
    AtLeast(f64, Option<Beside>),
    /// The same for what is better the smaller it is.
    AtMost(f64, Option<Beside>),
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    PerSecond,
    Millis,
    Micros,
    Percent,
}

/// A line of the table.
struct Row {
    what: String,
    unit: Unit,
    ours: Option<f64>,
    /// Over the rounds.
    range: Option<(f64, f64)>,
    /// Compared with, though no goal is about it.
    beside: Option<Beside>,
    must: Goal,
    aim: Goal,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::PerSecond if value >= 1e4 => format!("{:.0} k/s", value / 1e3),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Millis => format!("{value:.2} ms"),
            Self::Micros => format!("{value:.1} µs"),
            Self::Percent => format!("{value:.3} %"),
        }
    }
}

impl Goal {
    fn beside(&self) -> Option<Beside> {
        match self {
            Self::AtLeast(_, beside) | Self::AtMost(_, beside) => *beside,
            Self::None => None,
        }
    }

    fn text(&self, unit: Unit) -> String {
        match self {
            Self::None => "–".into(),
            Self::AtLeast(n, Some((name, _))) => format!("{n} × {name}"),
            Self::AtMost(n, Some((name, _))) => format!("≤ {n} × {name}"),
            Self::AtLeast(n, None) => unit.text(*n),
            Self::AtMost(n, None) => format!("≤ {}", unit.text(*n)),
        }
    }

    /// Unknown if something was not measured.
    fn is_reached(&self, ours: Option<f64>) -> Option<bool> {
        let bound = |n: f64, beside: &Option<Beside>| match beside {
            None => Some(n),
            Some((_, value)) => value.map(|value| n * value),
        };
        match self {
            Self::None => None,
            Self::AtLeast(n, beside) => Some(ours? >= bound(*n, beside)?),
            Self::AtMost(n, beside) => Some(ours? <= bound(*n, beside)?),
        }
    }
}

impl Row {
    fn reached(&self) -> &'static str {
        match (self.must.is_reached(self.ours), self.aim.is_reached(self.ours)) {
            (Some(false), _) => "**no**",
            (_, Some(true)) => "aim",
            (Some(true), _) => "must",
            (None, _) => "?",
        }
    }

    fn line(&self) -> String {
        let unit = self.unit;
        let dash = || "–".to_owned();
        let mut ours = self.ours.map_or_else(dash, |value| unit.text(value));
        if let Some((low, high)) = self.range.filter(|(low, high)| low < high) {
            ours += &format!(" ({} to {})", unit.text(low), unit.text(high));
        }
        let (mut compared, mut ratios): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (name, value) in
            [self.must.beside(), self.aim.beside(), self.beside].into_iter().flatten()
        {
            let text = format!("{name} {}", value.map_or_else(dash, |value| unit.text(value)));
            if !compared.contains(&text) {
                compared.push(text);
                let ratio = self.ours.zip(value).map(|(ours, value)| ours / value);
                ratios.push(ratio.map_or_else(dash, |ratio| format!("{ratio:.2} ×")));
            }
        }
        format!(
            "| {} | {ours} | {} | {} | {} | {} | {} |",
            self.what,
            compared.join("; "),
            ratios.join("; "),
            self.must.text(unit),
            self.aim.text(unit),
            self.reached()
        )
    }
}

/// All of it.
pub(crate) fn markdown(args: &Args, samples: &Samples) -> String {
    let mut out = head(args);
    out += "| what | ours: median (least to greatest round) | compared with | ratio | must | aim | reached |\n";
    out += "|---|---|---|---|---|---|---|\n";
    for section in args.sections() {
        let rows = match section {
            Section::Throughput => throughput(samples),
            Section::Loss => loss(samples),
            Section::Latency => latency(samples),
            Section::Kill => kill(samples),
            Section::Silence => silence(samples),
            Section::Idle => idle(samples),
            Section::Sealed => sealed(samples),
        };
        for row in rows {
            out += &row.line();
            out.push('\n');
        }
    }
    out
}

/// Machine, date and command.
fn head(args: &Args) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models = cpus.lines().filter(|line| line.starts_with("model name"));
    let model = models.clone().next().and_then(|line| line.split_once(": "));
    let say = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
        output(command).map_or_else(|_| "?".into(), |text| text.trim().to_owned())
    };
    let command: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "{}, {} cores, Linux {}; network namespaces on one bridge, MTU 1500; {}, commit {}; {} rounds of {} s; \
         `cargo run --release -p vs-bench --bin compare -- {}`\n\n",
        model.map_or("unknown processor", |(_, name)| name),
        models.count(),
        read("/proc/sys/kernel/osrelease").trim(),
        say("date", &["-u", "+%F %H:%M UTC"]),
        say("git", &["describe", "--always", "--dirty"]),
        args.rounds,
        args.seconds(),
        command.join(" ")
    )
}

fn throughput(samples: &Samples) -> Vec<Row> {
    let mut rows = Vec::new();
    for bytes in SIZES {
        for n in MEMBERS {
            for senders in [1, n] {
                let name = format!("throughput/vs/{n}/{senders}/{bytes}");
                if samples.count(&name) > 0 {
                    rows.push(throughput_row(samples, &name, bytes, n, senders));
                }
            }
        }
    }
    rows
}

fn throughput_row(samples: &Samples, name: &str, bytes: usize, n: usize, senders: usize) -> Row {
    let corosync = samples.median(&format!("throughput/corosync/{n}/{senders}/{bytes}"));
    let offload = samples.median(&format!("throughput/raw-offload/{n}/{bytes}"));
    let full = samples.median(&format!("throughput/raw-offload/{n}/{FULL_BYTES}"));
    // What is larger than a datagram is carried by full ones.
    let raw = if bytes > FULL_BYTES {
        full.map(|rate| rate * FULL_BYTES as f64 / bytes as f64)
    } else {
        offload
    };
    let raw = ("raw GSO+GRO", raw);
    let aim = match (bytes, n) {
        (64, 3) => Goal::AtLeast(5e6, None),
        (1024, _) => Goal::AtLeast(0.5, Some(raw)),
        (8192.., 3) => Goal::AtLeast(1e9 / bytes as f64, None),
        _ => Goal::None,
    };
    let times = if bytes == 64 { 20.0 } else { 10.0 };
    let who = if senders == 1 { "one sends".to_owned() } else { "all send".to_owned() };
    Row {
        what: format!("{bytes} B, {n} members, {who}"),
        unit: Unit::PerSecond,
        ours: samples.median(name),
        range: samples.range(name),
        beside: Some(raw),
        must: Goal::AtLeast(times, Some(("Corosync", corosync))),
        aim,
    }
}

fn sealed(samples: &Samples) -> Vec<Row> {
    let row = |(bytes, senders): (usize, usize)| {
        let name = |who| format!("sealed/{who}/{senders}/{bytes}");
        let beside = |text, who| (text, samples.median(&name(who)));
        let who = if senders == 1 { "one sends" } else { "all send" };
        let times = if bytes == 64 { 40.0 } else { 12.0 };
        Row {
            what: format!("{bytes} B, 3 members, {who}, encrypted"),
            unit: Unit::PerSecond,
            ours: samples.median(&name("vs")),
            range: samples.range(&name("vs")),
            beside: Some(beside("Corosync in the clear", "corosync-plain")),
            must: Goal::AtLeast(times, Some(beside("Corosync encrypted", "corosync"))),
            aim: Goal::AtLeast(0.8, Some(beside("in the clear", "plain"))),
        }
    };
    SEALED.into_iter().map(row).collect()
}

fn loss(samples: &Samples) -> Vec<Row> {
    let row = |senders: u32| {
        let name = format!("loss/one/{senders}");
        let own = ("without loss", samples.median(&format!("loss/none/{senders}")));
        let who = if senders == 1 { "one sends" } else { "all send" };
        Row {
            what: format!("1024 B, 3 members, {who}, 1 % lost"),
            unit: Unit::PerSecond,
            ours: samples.median(&name),
            range: samples.range(&name),
            beside: None,
            must: Goal::AtLeast(0.5, Some(own)),
            aim: Goal::AtLeast(0.8, Some(own)),
        }
    };
    vec![row(1), row(3)]
}

fn latency(samples: &Samples) -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, must, aim) in [("blocking", 1.5, 1.2), ("busy", 3.0, 2.0)] {
        for quantile in ["p50", "p99"] {
            let median = |who| samples.median(&format!("latency/{who}/{how}/{quantile}"));
            let raw = Some(("raw UDP", median("raw")));
            rows.push(Row {
                what: format!("one way, idle, 64 B, 2 members, {how}: {quantile}"),
                unit: Unit::Micros,
                ours: median("vs"),
                range: samples.range(&format!("latency/vs/{how}/{quantile}")),
                beside: median("corosync").map(|value| ("Corosync", Some(value))),
                must: Goal::AtMost(must, raw),
                aim: Goal::AtMost(aim, raw),
            });
        }
    }
    rows
}

fn kill(samples: &Samples) -> Vec<Row> {
    let mut rows = Vec::new();
    for n in [3, 5] {
        for (quantile, q, must, aim) in [("p50", 0.5, 1.0, 0.5), ("p99", 0.99, 3.0, 1.0)] {
            let name = format!("kill/vs/{n}");
            let corosync = samples.quantile(&format!("kill/corosync/{n}"), q);
            let times = samples.count(&name);
            rows.push(Row {
                what: format!(
                    "`kill -9` → view at all survivors, {n} members: {quantile} of {times}"
                ),
                unit: Unit::Millis,
                ours: samples.quantile(&name, q),
                range: None,
                beside: Some(("Corosync, a client", corosync)),
                must: Goal::AtMost(must, None),
                aim: Goal::AtMost(aim, None),
            });
        }
    }
    rows
}

/// The fastest setting at which nobody who lived was suspected in any round.
fn fastest_silence(samples: &Samples) -> Option<u64> {
    let tried = samples.numbers_after("silence-false/");
    let never = |ms: &u64| samples.range(&format!("silence-false/{ms}")).is_some_and(|r| r.1 < 0.5);
    tried.into_iter().find(never)
}

fn silence(samples: &Samples) -> Vec<Row> {
    let fastest = fastest_silence(samples);
    let name = fastest.map_or_else(String::new, |ms| format!("silence/{ms}"));
    let setting = fastest.map_or_else(|| "none".into(), |ms| format!("{ms} ms"));
    vec![Row {
        what: format!(
            "SIGSTOP → view at all others, 3 members; fastest setting without false suspicion: {setting}"
        ),
        unit: Unit::Millis,
        ours: samples.median(&name),
        range: samples.range(&name),
        beside: None,
        must: Goal::AtMost(100.0, None),
        aim: Goal::AtMost(30.0, None),
    }]
}

fn idle(samples: &Samples) -> Vec<Row> {
    vec![Row {
        what: "idle node, one group of 3: share of a core".into(),
        unit: Unit::Percent,
        ours: samples.median("idle/vs"),
        range: samples.range("idle/vs"),
        beside: Some(("Corosync's daemon", samples.median("idle/corosync"))),
        must: Goal::AtMost(0.5, None),
        aim: Goal::AtMost(0.1, None),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: Option<f64>, must: Goal, aim: Goal) -> Row {
        let (what, unit) = ("x".to_owned(), Unit::PerSecond);
        Row { what, unit, ours, range: None, beside: None, must, aim }
    }

    #[test]
    fn highest_reached_goal_is_reported() {
        let rival = |value| Goal::AtLeast(20.0, Some(("rival", value)));
        let aim = Goal::AtLeast(5e6, None);
        assert_eq!(row(Some(6e6), rival(Some(1e5)), aim).reached(), "aim");
        assert_eq!(row(Some(3e6), rival(Some(1e5)), aim).reached(), "must");
        assert_eq!(row(Some(1e6), rival(Some(1e5)), aim).reached(), "**no**");
        assert_eq!(row(Some(1e6), rival(None), aim).reached(), "?");
        assert_eq!(row(None, rival(Some(1e5)), aim).reached(), "?");
        let limit = Goal::AtMost(1.5, Some(("raw", Some(10.0))));
        assert_eq!(row(Some(14.0), limit, Goal::None).reached(), "must");
        assert_eq!(row(Some(16.0), limit, Goal::None).reached(), "**no**");
    }

    #[test]
    fn fastest_silence_never_suspects_falsely() {
        let mut samples = Samples::default();
        for (ms, values) in [(8, vec![1.0]), (12, vec![0.0, 1.0]), (16, vec![0.0])] {
            values.iter().for_each(|v| samples.push(format!("silence-false/{ms}"), *v));
        }
        assert_eq!(fastest_silence(&samples), Some(16));
    }
}
