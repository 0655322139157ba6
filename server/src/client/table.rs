//! A submission's result for people: its tests as a table, its groups, and the verdict.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::ui::{Look, Tone, printable, printable_lines};
use super::wire::{Group, Stage, Submission, Test, Usage};
use crate::run::words;

/// Between columns.
const GAP: usize = 2;
/// The narrowest that the last column is cut to before other columns are.
const MIN_MESSAGE: usize = 12;
/// The narrowest that the first column is cut to.
const MIN_ID: usize = 8;
const CUT: &str = "…";

/// Everything that is shown of a submission.
pub(super) fn submission(submission: &Submission, look: Look) -> String {
    let mut text = compiler(submission);
    text.push_str(&tests(&submission.tests, look));
    if submission.groups.len() > 1 {
        text.push('\n');
        text.push_str(&groups(&submission.groups, look));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&verdict(submission, look));
    text.push('\n');
    text
}

/// What the compiler said, where it did not make a program.
fn compiler(submission: &Submission) -> String {
    if submission.verdict.as_deref() != Some("compile_error") {
        return String::new();
    }
    let stage = submission.compile.clone().unwrap_or_default();
    let said = [stage.stdout(), stage.stderr()].concat();
    let mut text = printable_lines(&String::from_utf8_lossy(&said));
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn tests(tests: &[Test], look: Look) -> String {
    let scored = tests
        .iter()
        .any(|test| test.score.is_some_and(|score| score != 0.0));
    let score = |test: &Test| match test.score {
        Some(score) if scored => points(score),
        _ => String::new(),
    };
    let mut rows = vec![
        [
            "test",
            "verdict",
            if scored { "score" } else { "" },
            "time",
            "memory",
            "message",
        ]
        .map(|head| Cell::new(head, Some(Tone::Head)))
        .to_vec(),
    ];
    for test in tests {
        let usage = test.stage.as_ref().map(|stage| &stage.usage);
        let time = usage.and_then(Usage::cpu_us).map(words::time);
        let memory = usage
            .and_then(|usage| usage.memory_peak_bytes)
            .map(words::bytes);
        rows.push(vec![
            Cell::new(&test.id, None),
            verdict_cell(test.verdict.as_deref()),
            Cell::new(&score(test), None),
            Cell::new(&time.unwrap_or_default(), None),
            Cell::new(&memory.unwrap_or_default(), None),
            Cell::new(&message(test), Some(Tone::Faint)),
        ]);
    }
    if tests.is_empty() {
        return String::new();
    }
    table(&rows, &[2, 3, 4], look)
}

fn groups(groups: &[Group], look: Look) -> String {
    let head = ["group", "verdict", "score"].map(|head| Cell::new(head, Some(Tone::Head)));
    let mut rows = vec![head.to_vec()];
    for group in groups {
        rows.push(vec![
            Cell::new(&group.id, None),
            verdict_cell(group.verdict.as_deref()),
            Cell::new(&group.score.map(points).unwrap_or_default(), None),
        ]);
    }
    table(&rows, &[2], look)
}

/// One line: what became of the submission, and what it cost.
pub(super) fn verdict(submission: &Submission, look: Look) -> String {
    let name = submission.verdict.as_deref().unwrap_or(&submission.state);
    let mut line = look.paint(tone(name), &words_of(name));
    if let (Some(score), Some(max)) = (submission.score, submission.max_score)
        && max > 0.0
    {
        line.extend([", score ", &points(score), " of ", &points(max)]);
    }
    if let Some(message) = submission.message.as_deref().filter(|m| !m.is_empty()) {
        line.push_str(": ");
        line.push_str(&printable(message));
    }
    if let Some(usage) = &submission.usage {
        let time = usage
            .cpu_time_max_us
            .map(|us| format!("slowest test {}", words::time(us)));
        let memory = usage
            .memory_peak_bytes
            .map(|bytes| format!("peak memory {}", words::bytes(bytes)));
        let costs: Vec<String> = time.into_iter().chain(memory).collect();
        if !costs.is_empty() {
            line.extend([" (", &costs.join(", "), ")"]);
        }
    }
    if !submission.degraded.is_empty() {
        let layers = printable(&submission.degraded.join(", "));
        line.extend(["\nthe host does not enforce: ", &layers]);
    }
    line
}

/// What there is to say about a test beyond its verdict.
fn message(test: &Test) -> String {
    let said = [&test.checker_message, &test.message].into_iter().flatten();
    let mut texts = said.map(|said| said.trim()).filter(|said| !said.is_empty());
    match (texts.next(), test.verdict.as_deref(), &test.stage) {
        (Some(said), _, _) => said.to_owned(),
        (None, Some("runtime_error" | "security_violation"), Some(stage)) => ending(stage),
        _ => String::new(),
    }
}

fn ending(stage: &Stage) -> String {
    match (&stage.violation, &stage.signal, stage.exit_code) {
        (Some(violation), _, _) => format!("system call {}", violation.syscall),
        (None, Some(signal), _) => signal.clone(),
        (None, None, Some(code)) => format!("exit code {code}"),
        (None, None, None) => stage.outcome.replace('_', " "),
    }
}

fn verdict_cell(verdict: Option<&str>) -> Cell {
    match verdict {
        Some(verdict) => Cell::new(&words_of(verdict), Some(tone(verdict))),
        None => Cell::new("waiting", Some(Tone::Faint)),
    }
}

fn words_of(verdict: &str) -> String {
    printable(&verdict.replace('_', " "))
}

fn tone(verdict: &str) -> Tone {
    match verdict {
        "accepted" => Tone::Good,
        "wrong_answer" | "presentation_error" | "runtime_error" | "compile_error"
        | "security_violation" => Tone::Bad,
        "time_limit_exceeded" | "memory_limit_exceeded" | "output_limit_exceeded" => Tone::Limit,
        "skipped" | "queued" | "compiling" | "judging" => Tone::Faint,
        _ => Tone::Odd,
    }
}

/// Points without needless decimals.
fn points(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Clone, Debug)]
struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    fn new(text: &str, tone: Option<Tone>) -> Self {
        Self {
            text: printable(text),
            tone,
        }
    }
}

/// Rows with their cells under each other. Columns that are empty below their head are left out;
/// `right` are those whose cells are moved to the right. On a terminal no line is wider than it.
fn table(rows: &[Vec<Cell>], right: &[usize], look: Look) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| measure_text_width(&row[column].text))
            .max()
            .unwrap_or(0)
    };
    let used = |column: &usize| rows[1..].iter().any(|row| !row[*column].text.is_empty());
    let columns: Vec<usize> = (0..count).filter(used).collect();
    let mut widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
    fit(&mut widths, look.columns);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (place, (column, width)) in columns.iter().zip(&widths).enumerate() {
            if *width == 0 {
                continue;
            }
            let cell = &row[*column];
            let cut = truncate_str(&cell.text, *width, CUT);
            let align = if right.contains(column) {
                Alignment::Right
            } else {
                Alignment::Left
            };
            // The last column needs nothing behind it.
            let shown = match (place + 1 == columns.len(), align) {
                (true, Alignment::Left) => cut.to_string(),
                _ => pad_str(&cut, *width, align, None).into_owned(),
            };
            let painted = match cell.tone {
                Some(tone) if !cut.is_empty() => shown.replacen(&*cut, &look.paint(tone, &cut), 1),
                _ => shown,
            };
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            line.push_str(&painted);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Narrows the last column, then the first, until all fit into `columns`; then does without the last.
fn fit(widths: &mut [usize], columns: Option<usize>) {
    let Some(columns) = columns else { return };
    let [first, .., last] = widths else { return };
    let (first, last) = (*first, *last);
    let all: usize = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
    let mut over = all.saturating_sub(columns);
    let from_last = over.min(last.saturating_sub(MIN_MESSAGE));
    over -= from_last;
    let from_first = over.min(first.saturating_sub(MIN_ID));
    over -= from_first;
    if let Some(width) = widths.first_mut() {
        *width -= from_first;
    }
    if let Some(width) = widths.last_mut() {
        *width = if over > 0 { 0 } else { *width - from_last };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Submission {
        serde_json::from_str(
            r#"{"id": "0193", "state": "finished", "verdict": "wrong_answer", "score": 40.5, "max_score": 100,
                "message": "test big/größe-2: line 3: expected 12, got 13", "degraded": [],
                "usage": {"cpu_time_max_us": 1200000, "memory_peak_bytes": 5242880},
                "groups": [{"id": "sample", "verdict": "accepted", "score": 0}, {"id": "big", "verdict": "wrong_answer", "score": 40.5}],
                "tests": [
                 {"id": "sample/1", "verdict": "accepted", "score": 0, "stage": {"usage": {"cpu_user_us": 900, "cpu_system_us": 99, "memory_peak_bytes": 1540096}}},
                 {"id": "big/größe-2", "verdict": "wrong_answer", "score": 0, "checker_message": "line 3: expected 12, got 13\u001b[2J\nand more that does not fit into a narrow terminal",
                  "stage": {"usage": {"cpu_user_us": 12000, "cpu_system_us": 0, "memory_peak_bytes": 5242880}}},
                 {"id": "big/日本語", "verdict": "time_limit_exceeded", "score": 40.5, "stage": {"usage": {"cpu_user_us": 1200000, "cpu_system_us": 0}}},
                 {"id": "big/4", "verdict": "runtime_error", "score": 0, "stage": {"signal": "SIGSEGV"}},
                 {"id": "big/5", "verdict": "runtime_error", "score": 0, "stage": {"exit_code": 3}},
                 {"id": "big/6", "verdict": "security_violation", "score": 0, "stage": {"violation": {"syscall": "ptrace"}}},
                 {"id": "big/7", "verdict": "judge_error", "score": 0, "message": "the checker crashed"},
                 {"id": "big/8", "verdict": "skipped"}, {"id": "big/9"}]}"#,
        )
        .unwrap()
    }

    fn on_terminal(columns: usize) -> Look {
        Look {
            colour: false,
            columns: Some(columns),
        }
    }

    #[test]
    fn whole_into_a_file() {
        insta::assert_snapshot!(submission(&example(), Look::PLAIN));
    }

    #[test]
    fn coloured_and_cut_on_a_terminal() {
        let look = Look {
            colour: true,
            columns: Some(80),
        };
        insta::assert_snapshot!(submission(&example(), look));
    }

    #[test]
    fn without_its_last_column_on_a_narrow_terminal() {
        insta::assert_snapshot!(tests(&example().tests, on_terminal(50)));
    }

    #[test]
    fn no_line_of_the_table_is_wider_than_the_terminal() {
        for columns in 53..140 {
            for line in tests(&example().tests, on_terminal(columns)).lines() {
                assert!(measure_text_width(line) <= columns, "{columns}: {line}");
            }
        }
    }

    #[test]
    fn a_compile_error_shows_what_the_compiler_said() {
        let text = r#"{"id": "1", "state": "finished", "verdict": "compile_error", "message": "the compiler exited with code 1",
            "compile": {"stderr": "a.cpp:1:1: error: \u001b[31mno\r\n"}, "tests": [{"id": "1", "verdict": "skipped"}]}"#;
        insta::assert_snapshot!(submission(
            &serde_json::from_str(text).unwrap(),
            Look::PLAIN
        ));
    }

    #[test]
    fn what_is_in_progress_has_no_verdict_yet() {
        let text = r#"{"id": "1", "state": "judging", "tests": [{"id": "1", "verdict": "accepted"}, {"id": "2"}], "degraded": ["landlock"]}"#;
        insta::assert_snapshot!(submission(
            &serde_json::from_str(text).unwrap(),
            Look::PLAIN
        ));
    }

    #[test]
    fn nothing_at_all_is_shown_as_well() {
        let text = r#"{"id": "1", "state": "queued"}"#;
        assert_eq!(
            submission(&serde_json::from_str(text).unwrap(), Look::PLAIN),
            "queued\n"
        );
    }

    #[test]
    fn points_have_no_needless_decimals() {
        assert_eq!(
            (
                points(40.0).as_str(),
                points(0.5).as_str(),
                points(33.333).as_str()
            ),
            ("40", "0.5", "33.33")
        );
        assert_eq!(points(100.0), "100");
    }
}
