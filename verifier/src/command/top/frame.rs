//! The frame: every number in its place.
//!
//! Guarantees: never wider or higher than the screen; what is not told is a hyphen, never a zero. Does not do: reading a clock.

use std::collections::BTreeMap;

use crate::admin::exposition::Exposition;
use crate::admin::{Lane, Status};
use crate::output::thousands;

use super::line::{BAD, FAINT, GOOD, HEAD, Line, Look, PLAIN, WARN, cell};
use super::sample::{Heard, Sample};

/// Where a frame is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) colour: bool,
}

/// The widest frame: more would only spread it.
const WIDTH_MAX: usize = 120;

/// Routes that are shown, those with the most decisions first.
const ROUTES_SHOWN: usize = 8;

/// Seconds without a heartbeat that are worth a colour, in periods.
const LATE: u64 = 3;

/// The lines of a frame, as they are printed.
pub(super) fn draw(heard: &Heard, screen: &Screen) -> Vec<String> {
    let width = screen.width.min(WIDTH_MAX);
    let mut lines = Vec::new();
    match &heard.last {
        None => lines.push(Line::default().and(HEAD, "ledgerstone top  ").and(PLAIN, &heard.url)),
        Some(last) => {
            lines.push(top_line(last));
            if heard.lost.is_none() {
                lines.push(state(last));
            }
        }
    }
    if let Some(why) = &heard.lost {
        lines.push(Line::default().and(BAD, "NO ANSWER  ").and(PLAIN, why));
        lines.push(Line::default().and(FAINT, "It is asked again; what stands below is from before."));
    } else if heard.last.is_none() {
        lines.push(Line::default().and(FAINT, "Asking ..."));
    }
    if let Some(last) = &heard.last {
        body(&mut lines, heard, last, width);
    }
    let foot = Line::default().and(FAINT, "q ends");
    // The last line of a terminal is left for the foot.
    lines.truncate(screen.height.saturating_sub(1));
    if (1..usize::MAX).contains(&screen.height) {
        lines.push(foot);
    }
    lines.iter().map(|line| line.print(width, screen.colour)).collect()
}

fn body(lines: &mut Vec<Line>, heard: &Heard, last: &Sample, width: usize) {
    let metrics = &last.metrics;
    lines.push(Line::default());
    decisions(lines, heard, metrics, width);
    lines.push(Line::default());
    latency(lines, heard);
    lines.push(log(metrics));
    lines.push(complete(last));
    gate(lines, heard, metrics);
    lanes(lines, last);
    sinks(lines, last);
    lines.push(machine(last));
}

fn top_line(last: &Sample) -> Line {
    let line = Line::default().and(HEAD, "ledgerstone top  ");
    let status = match &last.status {
        Ok(status) => status,
        Err(why) => return line.and(WARN, format!("/status is not told: {why}")),
    };
    let up = status.time_ms.saturating_sub(status.started_ms) / 1000;
    line.and(PLAIN, format!("{}  {}  {}  up {}", status.origin, status.writer, status.version, ago(up)))
}

fn state(last: &Sample) -> Line {
    let told = last.status.as_ref().ok();
    if let Some(why) = told.and_then(|status| status.not_live.as_ref()) {
        return Line::default().and(BAD, "NOT LIVE  ").and(PLAIN, why);
    }
    match (told.and_then(|status| status.not_ready.as_ref()), last.metrics.value("ledgerstone_ready")) {
        (Some(why), _) => Line::default().and(BAD, "NOT READY  ").and(PLAIN, why),
        (None, Some(ready)) if ready < 1.0 => Line::default().and(BAD, "NOT READY"),
        _ => Line::default().and(GOOD, "ready"),
    }
}

fn decisions(lines: &mut Vec<Line>, heard: &Heard, metrics: &Exposition, width: usize) {
    const NAME: &str = "ledgerstone_decisions_total";
    let rate = heard.rate(|metrics| metrics.sum(NAME));
    lines.push(
        Line::titled("decisions")
            .and(PLAIN, format!("{:>10}/s  ", number(rate)))
            .and(GOOD, strip(heard.strip.iter().copied(), width.saturating_sub(54).min(super::sample::STRIP)))
            .and(PLAIN, format!("  in flight {}", count(metrics.value("ledgerstone_in_flight")))),
    );
    let mut routes: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for sample in metrics.all(NAME) {
        *routes.entry((sample.label("route"), sample.label("code"))).or_default() += sample.value;
    }
    let mut routes: Vec<_> = routes.into_iter().collect();
    routes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let wide = width.saturating_sub(54).clamp(12, 40);
    for ((route, code), total) in routes.iter().take(ROUTES_SHOWN) {
        let one = |metrics: &Exposition| {
            let of = metrics
                .all(NAME)
                .filter(|sample| sample.label("route") == *route && sample.label("code") == *code);
            Some(of.map(|sample| sample.value).sum())
        };
        let look = if *code == "OK" { PLAIN } else { WARN };
        lines.push(
            Line::default()
                .and(PLAIN, format!("  {} ", cell(route, wide)))
                .and(look, cell(code, 19))
                .and(PLAIN, format!("{:>10}/s {:>14}", number(heard.rate(one)), count(Some(*total)))),
        );
    }
    if routes.len() > ROUTES_SHOWN {
        lines.push(Line::default().and(FAINT, format!("  and {} more", routes.len() - ROUTES_SHOWN)));
    }
}

fn latency(lines: &mut Vec<Line>, heard: &Heard) {
    for (title, name) in [
        ("append", "ledgerstone_append_duration_seconds"),
        ("fdatasync", "ledgerstone_fdatasync_duration_seconds"),
    ] {
        let line = Line::titled(title);
        lines.push(match heard.quantiles(name, [0.5, 0.9, 0.99]) {
            None => line.and(FAINT, "-"),
            Some([half, most, nearly]) => {
                let look = if nearly > 0.5 { WARN } else { PLAIN };
                let line = line.and(PLAIN, format!("p50 {:<9} p90 {:<9} ", time(half), time(most)));
                line.and(look, format!("p99 {}", time(nearly)))
            }
        });
    }
}

fn log(metrics: &Exposition) -> Line {
    let value = |name| metrics.value(name);
    let lag = value("ledgerstone_published_lag_entries");
    let look = if lag.is_some_and(|lag| lag > 10_000.0) { WARN } else { PLAIN };
    let line = Line::titled("log").and(PLAIN, format!("entries {}  ", count(value("ledgerstone_tree_size"))));
    line.and(look, format!("not public yet {}  ", count(lag)))
        .and(PLAIN, format!("indexed {}", count(value("ledgerstone_index_size"))))
}

fn complete(last: &Sample) -> Line {
    let gaps = last.metrics.value("ledgerstone_unrecorded");
    let look = if gaps.is_some_and(|gaps| gaps > 0.0) { BAD } else { PLAIN };
    let line = Line::titled("completeness").and(look, format!("without a record {}  ", count(gaps)));
    let Ok(status) = &last.status else { return line.and(FAINT, "last heartbeat -") };
    let (said, look) = heartbeat(status);
    let line = line.and(look, format!("last heartbeat {said}"));
    match last.metrics.value("ledgerstone_halted") {
        Some(halted) if halted > 0.0 => line.and(BAD, "  HALTED"),
        _ => line,
    }
}

fn heartbeat(status: &Status) -> (String, Look) {
    let Some(at) = status.last_heartbeat_ms else { return ("none in this session".to_owned(), FAINT) };
    let age = status.time_ms.saturating_sub(at);
    let is_late = status
        .settings
        .heartbeat_ms
        .is_some_and(|period| age > LATE.saturating_mul(period).saturating_add(1_000));
    (format!("{} ago", ago(age / 1000)), if is_late { BAD } else { PLAIN })
}

fn gate(lines: &mut Vec<Line>, heard: &Heard, metrics: &Exposition) {
    const NAME: &str = "ledgerstone_gate_total";
    let mut effects: BTreeMap<&str, f64> = BTreeMap::new();
    for sample in metrics.all(NAME) {
        *effects.entry(sample.label("effect")).or_default() += sample.value;
    }
    if effects.is_empty() {
        return;
    }
    let mut line = Line::titled("gate");
    for (effect, total) in effects {
        let rate = heard.rate(|metrics| {
            Some(
                metrics
                    .all(NAME)
                    .filter(|sample| sample.label("effect") == effect)
                    .map(|sample| sample.value)
                    .sum(),
            )
        });
        line = line.and(PLAIN, format!("{effect} {}/s ({})  ", number(rate), count(Some(total))));
    }
    lines.push(line);
}

fn lanes(lines: &mut Vec<Line>, last: &Sample) {
    let Ok(status) = &last.status else { return lines.push(Line::titled("anchors").and(FAINT, "-")) };
    if status.anchors.is_empty() {
        return lines.push(Line::titled("anchors").and(WARN, "none"));
    }
    for (lane, at) in status.anchors.iter().zip(0..) {
        let line = Line::titled(if at == 0 { "anchors" } else { "" });
        let Lane { lane: name, kind, state, lag_seconds, confirmed_size, .. } = lane;
        let is_late = lane.lag_alarm_seconds > 0 && *lag_seconds > lane.lag_alarm_seconds;
        let look = if is_late || !lane.alarms.is_empty() { BAD } else { PLAIN };
        let line = line.and(PLAIN, format!("{} {} {} ", cell(name, 14), cell(kind, 10), cell(state, 12)));
        let line = line.and(look, format!("lag {:<9}", ago(*lag_seconds)));
        // Before what a narrow terminal cuts off.
        let line = if lane.last_error.is_some() { line.and(WARN, "error  ") } else { line };
        lines.push(line.and(PLAIN, format!("fixed {}", thousands(*confirmed_size))));
    }
}

fn sinks(lines: &mut Vec<Line>, last: &Sample) {
    let sinks = match &last.sinks {
        Ok(sinks) => sinks,
        Err(why) => return lines.push(Line::titled("sinks").and(WARN, format!("/siem is not told: {why}"))),
    };
    for (sink, at) in sinks.iter().zip(0..) {
        let line = Line::titled(if at == 0 { "sinks" } else { "" });
        let look = match () {
            () if sink.is_refused() => BAD,
            () if sink.error.is_some() || sink.lag_seconds > 300 => WARN,
            () => PLAIN,
        };
        let line = line.and(PLAIN, format!("{} {} ", cell(&sink.sink, 14), cell(&sink.kind, 10)));
        let line = line.and(look, format!("{} ", cell(&sink.state, 12)));
        lines.push(
            line.and(look, format!("behind {} events, {} s", thousands(sink.lag_events), sink.lag_seconds)),
        );
    }
}

fn machine(last: &Sample) -> Line {
    let line = Line::titled("machine");
    let status = last.status.as_ref().ok();
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), size);
    let disk = status.and_then(|status| status.disk);
    let look = if disk.is_some_and(|disk| disk.free_bytes < 512 << 20) { BAD } else { PLAIN };
    line.and(PLAIN, format!("memory {}  ", bytes(status.and_then(|status| status.resident_bytes))))
        .and(look, format!("disk free {}  ", bytes(disk.map(|disk| disk.free_bytes))))
        .and(
            PLAIN,
            format!(
                "journal {}  ",
                bytes(status.and_then(|status| status.journal).map(|journal| journal.bytes))
            ),
        )
        .and(PLAIN, format!("connections {}", count(last.metrics.sum("ledgerstone_connections_open"))))
}

/// Numbers as a strip of bars, newest last.
fn strip(values: impl ExactSizeIterator<Item = f64> + Clone, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().fold(0.0, f64::max);
    let skipped = values.len().saturating_sub(width);
    let bars = values.skip(skipped).map(|value| {
        let height = if most > 0.0 { value / most * 7.0 } else { 0.0 };
        BARS.iter().zip(0_u8..8).rev().find(|(_, at)| f64::from(*at) <= height).map_or('▁', |(bar, _)| *bar)
    });
    let bars: String = bars.collect();
    format!("{bars:>width$}")
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn count(value: Option<f64>) -> String {
    // Shown digit by digit: a count of more than 2^53 has lost its last digits already.
    let whole = value.filter(|value| value.is_finite()).map(|value| format!("{:.0}", value.max(0.0)));
    whole.and_then(|digits| digits.parse().ok()).map_or_else(|| "-".to_owned(), thousands)
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{} MiB", thousands(bytes >> 20)),
        _ => format!("{} GiB", thousands(bytes >> 30)),
    }
}

#[cfg(test)]
mod tests;
