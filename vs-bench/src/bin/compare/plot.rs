//! The plots, as SVG: text stays text, so no fonts are needed to draw them.

use core::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use vs_bench::samples::Samples;

use crate::args::{Args, Section};
use crate::measure::{FULL_BYTES, MEMBERS, SIZES};

const SIZE: (u32, u32) = (860, 520);
const FONT: &str = "sans-serif";

/// One line of a chart.
struct Line {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// A chart. What goes up is logarithmic; what goes across is, too, unless `ticks` names its places
/// 0, 1, 2, ….
struct Chart<'a> {
    title: String,
    across: &'a str,
    up: &'a str,
    ticks: Option<&'a [&'a str]>,
    lines: Vec<Line>,
}

const VS: RGBColor = RGBColor(0, 90, 181);
const VS_TOO: RGBColor = RGBColor(90, 170, 240);
const RIVAL: RGBColor = RGBColor(200, 50, 32);
const RIVAL_TOO: RGBColor = RGBColor(240, 140, 110);
const LIMIT: RGBColor = RGBColor(70, 70, 70);
const LIMIT_TOO: RGBColor = RGBColor(160, 160, 160);

/// Draws what was measured.
pub(crate) fn all(args: &Args, samples: &Samples) -> Result<(), String> {
    if args.wants(Section::Throughput) {
        for n in MEMBERS {
            throughput(samples, n).draw(&args.out.join(format!("throughput-{n}.svg")))?;
        }
    }
    if args.wants(Section::Latency) {
        latency(samples).draw(&args.out.join("latency.svg"))?;
    }
    if args.wants(Section::Kill) {
        views(samples).draw(&args.out.join("view-change.svg"))?;
    }
    Ok(())
}

fn throughput(samples: &Samples, n: usize) -> Chart<'static> {
    let line = |name, color, prefix: String, sizes: &[usize]| {
        let point = |bytes: &usize| {
            let rate = samples.median(&format!("{prefix}/{bytes}"))?;
            Some((*bytes as f64, rate * *bytes as f64 / 1e6))
        };
        Line { name, color, points: sizes.iter().filter_map(point).collect() }
    };
    let offload = [64, 1024, FULL_BYTES];
    Chart {
        title: format!("Delivered at each of {n} members"),
        across: "bytes of a message (raw: of a datagram)",
        up: "MB/s",
        ticks: None,
        lines: vec![
            line("vs, one sends", VS, format!("throughput/vs/{n}/1"), &SIZES),
            line("vs, all send", VS_TOO, format!("throughput/vs/{n}/{n}"), &SIZES),
            line("Corosync, one sends", RIVAL, format!("throughput/corosync/{n}/1"), &SIZES),
            line("Corosync, all send", RIVAL_TOO, format!("throughput/corosync/{n}/{n}"), &SIZES),
            line("raw UDP, GSO+GRO", LIMIT, format!("throughput/raw-offload/{n}"), &offload),
            line("raw UDP", LIMIT_TOO, format!("throughput/raw/{n}"), &SIZES),
        ],
    }
}

fn latency(samples: &Samples) -> Chart<'static> {
    const QUANTILES: [&str; 5] = ["p50", "p90", "p99", "p999", "max"];
    let line = |name, color, prefix: &str| {
        let point = |(i, quantile): (usize, &&str)| {
            Some((i as f64, samples.median(&format!("latency/{prefix}/{quantile}"))?))
        };
        Line { name, color, points: QUANTILES.iter().enumerate().filter_map(point).collect() }
    };
    Chart {
        title: "One way between 2 members, idle, 64 B".into(),
        across: "share of messages that were faster",
        up: "µs",
        ticks: Some(&["50 %", "90 %", "99 %", "99.9 %", "all"]),
        lines: vec![
            line("Corosync", RIVAL, "corosync/blocking"),
            line("vs, blocking", VS, "vs/blocking"),
            line("raw UDP, blocking", LIMIT, "raw/blocking"),
            line("vs, busy-polling", VS_TOO, "vs/busy"),
            line("raw UDP, busy-polling", LIMIT_TOO, "raw/busy"),
        ],
    }
}

fn views(samples: &Samples) -> Chart<'static> {
    const LEAST: u64 = 2;
    let line = |name, color, who: &str, q: f64| {
        let start = format!("kill/{who}/");
        let point =
            |n: u64| Some(((n - LEAST) as f64, samples.quantile(&format!("{start}{n}"), q)?));
        let points = samples.numbers_after(&start).into_iter().filter_map(point).collect();
        Line { name, color, points }
    };
    Chart {
        title: "kill -9 of a member until all others have the view".into(),
        across: "members",
        up: "ms",
        ticks: Some(&["2", "3", "4", "5", "6", "7", "8"]),
        lines: vec![
            line("vs, p50", VS, "vs", 0.5),
            line("vs, p99", VS_TOO, "vs", 0.99),
            line("Corosync (a client), p50", RIVAL, "corosync", 0.5),
            line("Corosync (a client), p99", RIVAL_TOO, "corosync", 0.99),
        ],
    }
}

/// Least and greatest of `values`, which are above 0.
fn bounds(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min).max(1e-3);
    let most = values.fold(least, f64::max);
    least..most
}

/// The powers of ten around `bounds`, with a little room.
fn decades(bounds: &Range<f64>) -> Range<f64> {
    let power = |exponent: f64| 10_f64.powf(exponent);
    power((bounds.start.log10() - 0.05).floor())..power((bounds.end.log10() + 0.05).ceil())
}

impl Chart<'_> {
    fn draw(&self, path: &Path) -> Result<(), String> {
        let failed = |e: &dyn core::fmt::Display| format!("{}: {e}", path.display());
        let points = || self.lines.iter().flat_map(|line| &line.points);
        if points().next().is_none() {
            return Ok(());
        }
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(|e| failed(&e))?;
        let up = decades(&bounds(points().map(|point| point.1)));
        let mut builder = ChartBuilder::on(&area);
        builder.caption(&self.title, (FONT, 20)).margin(14);
        builder.x_label_area_size(44).y_label_area_size(70);
        let label = |x: &f64| {
            let at = self.ticks.and_then(|ticks| ticks.get(x.round() as usize));
            at.filter(|_| (x - x.round()).abs() < 0.01)
                .map_or_else(String::new, ToString::to_string)
        };
        // The two axes are of different types, so what follows is said twice.
        macro_rules! finish {
            ($chart:expr, $label:expr, $labels:expr) => {{
                let mut chart = $chart.map_err(|e| failed(&e))?;
                let mut mesh = chart.configure_mesh();
                mesh.x_desc(self.across).y_desc(self.up).light_line_style(WHITE);
                mesh.axis_desc_style((FONT, 15)).label_style((FONT, 13));
                mesh.x_labels($labels).x_label_formatter($label);
                mesh.y_label_formatter(&|y: &f64| format!("{y}"));
                mesh.draw().map_err(|e| failed(&e))?;
                for line in self.lines.iter().filter(|line| !line.points.is_empty()) {
                    let color = line.color;
                    let drawn = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
                    let drawn = chart.draw_series(drawn.point_size(3)).map_err(|e| failed(&e))?;
                    drawn.label(line.name).legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                    });
                }
                let mut legend = chart.configure_series_labels();
                legend.background_style(WHITE.mix(0.85)).border_style(LIMIT_TOO);
                legend.label_font((FONT, 13)).position(SeriesLabelPosition::LowerRight);
                legend.draw().map_err(|e| failed(&e))?;
            }};
        }
        match self.ticks {
            Some(ticks) => {
                let across = -0.2..ticks.len() as f64 - 0.8;
                let chart = builder.build_cartesian_2d(across, up.log_scale());
                finish!(chart, &label, 2 * ticks.len());
            }
            None => {
                let Range { start, end } = bounds(points().map(|point| point.0));
                let across = start / 1.2..end * 1.2;
                let chart = builder.build_cartesian_2d(across.log_scale(), up.log_scale());
                finish!(chart, &|x: &f64| format!("{x}"), 10);
            }
        }
        area.present().map_err(|e| failed(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_needs_no_fonts_and_shows_gaps() {
        let mut samples = Samples::default();
        for (bytes, rate) in [(64, 1e6), (1024, 5e5)] {
            samples.push(format!("throughput/vs/3/1/{bytes}"), rate);
        }
        for (i, quantile) in ["p50", "p90", "p99"].iter().enumerate() {
            samples.push(format!("latency/vs/busy/{quantile}"), 4.0 + i as f64);
        }
        samples.push("kill/vs/3", 0.6);
        let dir = std::env::temp_dir().join(format!("vs-compare-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (i, chart) in
            [throughput(&samples, 3), latency(&samples), views(&samples)].iter().enumerate()
        {
            let path = dir.join(format!("{i}.svg"));
            chart.draw(&path).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            assert!(svg.contains("<svg") && svg.contains("</svg>") && svg.contains("vs"));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
