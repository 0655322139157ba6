//! Plots as SVG: lines over a linear axis of x and a linear or logarithmic one of y.

use std::fmt::Write as _;

/// Size of a plot, in SVG's units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Most decades of a logarithmic axis.
const MAX_DECADES: i32 = 12;

/// One line.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis: how values are placed and written.
pub(super) struct Axis<'a> {
    pub(super) show: &'a dyn Fn(f64) -> String,
    pub(super) logarithmic: bool,
    /// Where marks are; even ones if there are none.
    pub(super) marks: Vec<f64>,
}

impl<'a> Axis<'a> {
    pub(super) fn linear(show: &'a dyn Fn(f64) -> String) -> Self {
        Self {
            show,
            logarithmic: false,
            marks: Vec::new(),
        }
    }
}

/// The range that a plot shows.
struct Range {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Range {
    fn of(values: impl Iterator<Item = f64> + Clone, axis: &Axis<'_>) -> Self {
        let all = values.filter(|v| v.is_finite());
        let high = all.clone().fold(f64::MIN, f64::max);
        if axis.logarithmic {
            let positive = all.filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
            let low = positive.min(high.max(1.0)).log10().floor();
            let high = high.max(1.0).log10().ceil().max(low + 1.0);
            return Self {
                low,
                high: high.min(low + f64::from(MAX_DECADES)),
                logarithmic: true,
            };
        }
        Self {
            low: 0.0,
            high: if high > 0.0 { high * 1.05 } else { 1.0 },
            logarithmic: false,
        }
    }

    /// Where `value` is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.max(1e-9).log10()
        } else {
            value
        };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn marks(&self) -> Vec<f64> {
        if self.logarithmic {
            #[allow(clippy::cast_possible_truncation)]
            let decades = self.low as i32..=self.high as i32;
            return decades.map(|d| 10f64.powi(d)).collect();
        }
        (0..=4).map(|at| self.high * f64::from(at) / 4.0).collect()
    }
}

/// A plot of `lines`.
pub(super) fn plot(title: &str, x: &Axis<'_>, y: &Axis<'_>, lines: &[Line<'_>]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    if points().next().is_none() {
        return String::new();
    }
    let across = Range::of(points().map(|p| p.0), x);
    let up = Range::of(points().map(|p| p.1), y);
    let place = |x: f64, y: f64| {
        (
            LEFT + across.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up.share(y) * (HEIGHT - TOP - BOTTOM),
        )
    };
    let mut svg = String::new();
    let mut draw = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = svg.write_fmt(text);
    };
    draw(format_args!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    ));
    for mark in up.marks() {
        let (_, at) = place(0.0, mark);
        let end = WIDTH - RIGHT;
        let label = (y.show)(mark);
        draw(format_args!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        ));
    }
    let marks = if x.marks.is_empty() {
        across.marks()
    } else {
        x.marks.clone()
    };
    let shown = |mark: &f64| *mark <= across.high;
    for mark in marks.into_iter().filter(shown) {
        let (at, _) = place(mark, 0.0);
        let label = (x.show)(mark);
        draw(format_args!(
            "<text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
            HEIGHT - 12.0
        ));
    }
    for (number, line) in lines.iter().enumerate() {
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(x, y)| place(*x, *y))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        draw(format_args!(
            "<polyline class=\"line c{}\" points=\"{}\"><title>{}</title></polyline>",
            number % 6,
            path.join(" "),
            line.name
        ));
    }
    draw(format_args!("</svg><p class=\"legend\">"));
    for (number, line) in lines.iter().enumerate() {
        draw(format_args!(
            "<span class=\"c{}\">{}</span> ",
            number % 6,
            line.name
        ));
    }
    draw(format_args!("</p></figure>\n"));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_placed_within_the_plot() {
        let show = |v: f64| format!("{v:.0}");
        let y = Axis {
            logarithmic: true,
            ..Axis::linear(&show)
        };
        let line = Line {
            name: "p50",
            points: vec![(0.0, 1.0), (1.0, 10.0), (2.0, 1000.0), (3.0, f64::INFINITY)],
        };
        let svg = plot("t", &Axis::linear(&show), &y, &[line]);
        let points = svg
            .split("points=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y));
        }
        for decade in ["1", "10", "100", "1000"] {
            assert!(svg.contains(&format!(">{decade}</text>")), "{svg}");
        }
    }

    #[test]
    fn nothing_is_no_plot() {
        let show = |v: f64| v.to_string();
        let empty = Line {
            name: "a",
            points: Vec::new(),
        };
        assert_eq!(
            plot("t", &Axis::linear(&show), &Axis::linear(&show), &[empty]),
            ""
        );
    }
}
