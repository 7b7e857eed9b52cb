//! The report's plots.
//!
//! *Guarantees*: what is plotted stands in the report. *Does not do*: choose colours.

use super::drawing::{Anchor, Drawing, Field, Ink, Shape, ticks};
use super::{Coverage, Report, Share, Step};
use crate::audit::{Method, Plan, Rate};
use crate::output::thousands;

/// Width of a plot.
const WIDTH: f64 = 640.0;

/// Letters of a name that fit beside its bar.
const NAME_SHOWN: usize = 22;

/// Recorded against recomputed scores.
pub(super) fn scatter(report: &Report) -> Option<Drawing> {
    let points = &report.scores.points;
    let both = || points.iter().flat_map(|point| [point.recorded, point.recomputed]);
    let (low, high) =
        both().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if points.is_empty() || !(high - low).is_finite() {
        return None;
    }
    let is_share = 0.0 <= low && high <= 1.0;
    let (low, high) = match (is_share, high > low) {
        (true, _) => (0.0, 1.0),
        (false, true) => (low, high),
        (false, false) => (low - 1.0, high + 1.0),
    };
    let mut drawing = Drawing::new(WIDTH, 460.0);
    let field = Field::new(drawing.size, (low, high), (low, high));
    let marks = ticks(low, high);
    field.frame(&mut drawing, ("recorded score", &marks), ("recomputed score", &marks));
    drawing.path([field.at(low, low), field.at(high, high)], Ink::Limit);
    for point in points {
        let at = field.at(point.recorded, point.recomputed);
        let is_equal = point.recorded.to_bits() == point.recomputed.to_bits();
        drawing.shapes.push(if is_equal { Shape::Dot { at } } else { Shape::Cross { at } });
    }
    Some(drawing)
}

/// How far recorded and recomputed scores are apart.
pub(super) fn differences(report: &Report) -> Option<Drawing> {
    let scores = &report.scores;
    if scores.rows == scores.no_numbers {
        return None;
    }
    let most = scores.differences.iter().map(|bin| bin.rows).fold(scores.equal, u64::max);
    let mut drawing = Drawing::new(WIDTH, 280.0);
    let bins = scores.differences.len();
    // The bar of equal scores stands apart: two places before the others.
    let places = number(bins) + 2.5;
    let top = (number_of(most) + 1.0).log10() * 1.12;
    let field = Field::new(drawing.size, (0.0, places), (0.0, top));
    let powers = (0..=15_u16).map(|power| (10_f64.powi(i32::from(power)), u32::from(power)));
    let named = powers.map(|(count, power)| ((count + 1.0).log10(), thousands(10_u64.pow(power))));
    let y_ticks: Vec<_> = named.take_while(|(height, _)| *height <= top).collect();
    let ends = scores.differences.iter().zip(0_u16..);
    let ends = ends
        .filter(|(_, place)| place % 2 == 1)
        .filter_map(|(bin, place)| bin.below.as_ref().map(|below| (f64::from(place) + 3.0, below.clone())));
    let x_ticks: Vec<_> = [(0.5, "equal".to_owned())].into_iter().chain(ends).collect();
    field.frame(
        &mut drawing,
        ("distance of the recorded from the recomputed score", &x_ticks),
        ("rows, on a logarithmic scale", &y_ticks),
    );
    let mut bar = |place: f64, count: u64, ink| {
        let (x, y) = field.at(place + 0.1, (number_of(count) + 1.0).log10());
        let (end, bottom) = field.at(place + 0.9, 0.0);
        if count > 0 {
            drawing.shapes.push(Shape::Bar { at: (x, y), size: (end - x, bottom - y), ink });
            drawing.label((f64::midpoint(x, end), y - 3.0), thousands(count), Anchor::Middle);
        }
    };
    bar(0.0, scores.equal, Ink::Good);
    for (bin, place) in scores.differences.iter().zip(0_u16..) {
        bar(f64::from(place) + 2.0, bin.rows, Ink::Bad);
    }
    Some(drawing)
}

/// The share of exceptions among decisions against the person, and among the others.
pub(super) fn strata(report: &Report) -> Option<Drawing> {
    let strata = report.counts.strata;
    let rows = [
        ("against the person", strata.adverse),
        ("not against the person", strata.not_adverse),
        ("not recorded", strata.not_recorded),
    ];
    let planned = report.strata().map(|sample| (sample.name.as_str(), sample.share));
    let rows: Vec<_> = rows.into_iter().chain(planned).filter(|(_, share)| share.decisions > 0).collect();
    let rate = |share: Share| number_of(share.exceptions) / number_of(share.decisions.max(1));
    let most = rows.iter().map(|(_, share)| rate(*share)).fold(0.0, f64::max);
    if rows.is_empty() {
        return None;
    }
    let mut drawing = Drawing::new(WIDTH, 12.0 + 44.0 * number(rows.len()));
    let scale = if most > 0.0 { (WIDTH - 320.0) / most } else { 0.0 };
    for ((name, share), row) in rows.iter().zip(0_u16..) {
        let y = 12.0 + 44.0 * f64::from(row);
        drawing.label((150.0, y + 19.0), shortened(name), Anchor::End);
        let width = (rate(*share) * scale).max(0.0);
        drawing.shapes.push(Shape::Bar { at: (158.0, y), size: (width, 28.0), ink: Ink::Bad });
        let text = format!(
            "{} of {} ({})",
            thousands(share.exceptions),
            thousands(share.decisions),
            percent(rate(*share))
        );
        drawing.label((164.0 + width, y + 19.0), text, Anchor::Start);
    }
    let bottom = 12.0 + 44.0 * number(rows.len()) - 10.0;
    drawing.path([(158.0, 6.0), (158.0, bottom)], Ink::Axis);
    Some(drawing)
}

/// A name that fits beside its bar.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_SHOWN {
        return name.to_owned();
    }
    name.chars().take(NAME_SHOWN - 1).chain(['\u{2026}']).collect()
}

/// How the finding grew: the evidence of a sequential plan, the bound of a fixed one, or the exceptions.
pub(super) fn course(report: &Report, plan: Option<&Plan>) -> Option<Drawing> {
    let last = report.course.last().filter(|step| step.decisions > 0)?;
    let is_sample = report.finding.coverage == Coverage::Sample;
    let mut drawing = Drawing::new(WIDTH, 300.0);
    let x = (0.0, number_of(last.decisions));
    match plan.filter(|_| is_sample) {
        Some(plan) if plan.method == Method::Sequential => evidence(&mut drawing, report, x),
        Some(plan) => bound(&mut drawing, report, plan, x),
        None => {
            // At least five, so that the ticks are whole numbers.
            let high = number_of(last.exceptions.max(5));
            let field = Field::new(drawing.size, x, (0.0, high));
            field.frame(&mut drawing, (X_TITLE, &ticks(x.0, x.1)), ("exceptions so far", &ticks(0.0, high)));
            let line = report
                .course
                .iter()
                .map(|step| field.at(number_of(step.decisions), number_of(step.exceptions)));
            drawing.path(line.collect::<Vec<_>>(), Ink::Bad);
        }
    }
    Some(drawing)
}

const X_TITLE: &str = "decisions, in the order of the results";

fn evidence(drawing: &mut Drawing, report: &Report, x: (f64, f64)) {
    let needed = number_of(report.finding.evidence_needed_thousandths.unwrap_or(1000)) / 1000.0;
    // Evidence of nothing lies at the lower edge.
    let value = |step: &Step| match (step.decisions, step.evidence_thousandths) {
        (0, _) | (_, None) => 0.0,
        (_, Some(evidence)) => (number_of(evidence) / 1000.0).max(1e-3).log10(),
    };
    let values = || report.course.iter().map(value);
    let low = values().fold(-0.5_f64, f64::min).max(-3.0);
    let high = values().fold(needed.log10(), f64::max).min(needed.log10() + 3.0) + 0.3;
    let field = Field::new(drawing.size, x, (low, high));
    let powers = (-3_i16..=9).map(|power| (f64::from(power), power));
    let in_sight = powers.filter(|(value, _)| (low..=high).contains(value));
    let y_ticks: Vec<_> = in_sight.map(|(value, power)| (value, format!("1e{power}"))).collect();
    field.frame(drawing, (X_TITLE, &ticks(x.0, x.1)), ("evidence, on a logarithmic scale", &y_ticks));
    limit(drawing, &field, x, needed.log10(), &format!("enough: {needed}"), Side::Above);
    let line = report.course.iter().map(|step| field.at(number_of(step.decisions), value(step)));
    drawing.path(line.collect::<Vec<_>>(), Ink::Good);
    crosses(drawing, report, |step| field.at(number_of(step.decisions), value(step)));
}

fn bound(drawing: &mut Drawing, report: &Report, plan: &Plan, x: (f64, f64)) {
    let logarithm = |billionths: u64| (number_of(billionths.max(1)) / 1e7).log10();
    let value = |step: &Step| {
        let rate = step.upper_bound.as_deref().and_then(|bound| bound.parse::<Rate>().ok());
        rate.map(|rate| logarithm(rate.billionths()))
    };
    let tolerable = logarithm(plan.tolerable.billionths());
    let low = report.course.iter().filter_map(value).fold(tolerable, f64::min) - 0.2;
    let field = Field::new(drawing.size, x, (low, 2.0));
    let powers = (-7_i16..=2).map(|power| (f64::from(power), power));
    let in_sight = powers.filter(|(value, _)| *value >= low);
    let named = |power: i16| match power {
        0.. => format!(
            "{}%",
            if power == 0 {
                1
            } else if power == 1 {
                10
            } else {
                100
            }
        ),
        _ => format!("{:.*}%", usize::from(power.unsigned_abs()), 10_f64.powi(i32::from(power))),
    };
    let y_ticks: Vec<_> = in_sight.map(|(value, power)| (value, named(power))).collect();
    field.frame(drawing, (X_TITLE, &ticks(x.0, x.1)), ("upper bound, on a logarithmic scale", &y_ticks));
    limit(drawing, &field, x, tolerable, &format!("not tolerable: {}", plan.tolerable), Side::Below);
    let place = |step: &Step| value(step).map(|value| field.at(number_of(step.decisions), value));
    drawing.path(report.course.iter().filter_map(place).collect::<Vec<_>>(), Ink::Good);
    crosses(drawing, report, |step| field.at(number_of(step.decisions), value(step).unwrap_or(2.0)));
}

/// Where a line's name stands: on the side that the curve does not come from.
#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
}

/// A line that is to be passed, with its name at the left end, where the curve is still far from it.
fn limit(drawing: &mut Drawing, field: &Field, x: (f64, f64), y: f64, name: &str, side: Side) {
    drawing.path([field.at(x.0, y), field.at(x.1, y)], Ink::Limit);
    let (left, y) = field.at(x.0, y);
    let baseline = match side {
        Side::Above => y - 5.0,
        Side::Below => y + 14.0,
    };
    drawing.label((left + 6.0, baseline), name, Anchor::Start);
}

/// A cross where an exception came.
fn crosses(drawing: &mut Drawing, report: &Report, at: impl Fn(&Step) -> (f64, f64)) {
    for pair in report.course.windows(2) {
        if let [before, after] = pair
            && after.exceptions > before.exceptions
        {
            drawing.shapes.push(Shape::Cross { at: at(after) });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
const fn number_of(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
const fn number(count: usize) -> f64 {
    count as f64
}

/// A share with at most three digits behind the point, one that is not nothing never shown as nothing.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        percent if percent < 0.001 => "below 0.001%".to_owned(),
        percent => {
            let digits = format!("{percent:.3}");
            format!("{}%", digits.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}
