//! Configuration of judging.

use serde::{Deserialize, Serialize};

/// The most submissions that can wait.
const MOST_QUEUED: usize = 10_000_000;
/// The most tests of a submission.
const MOST_TESTS: usize = 100_000;
/// The most that is shown of an output.
const MOST_KEPT_OUTPUT_BYTES: u64 = 1 << 20;
/// The most that a judged program can be allowed to write.
const MOST_OUTPUT_BYTES: u64 = 16 << 30;

/// The most reruns, and the largest margin in percent.
const MOST_RERUNS: u32 = 100;

/// Judging (`[judging]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgingConfig {
    /// Submissions without a result, of all keys together; more are refused with 503.
    pub max_queued: usize,
    /// Submissions of each priority that are judged at once; 0: twice as many as there are workers. It
    /// bounds memory, as the workers bound what runs. Every key can have at least one.
    pub active: usize,
    /// Tests of a submission.
    pub max_tests: usize,
    /// Groups of a submission.
    pub max_groups: usize,
    /// Submissions of a batch.
    pub max_batch: usize,
    /// How much of a test's stdout, and of its stderr, a result shows.
    pub kept_output_bytes: u64,
    /// What a test may allow its program to write; it is compared as it comes, not kept.
    pub max_output_bytes: u64,
    /// A program that ends within so many percent beyond its CPU time limit is run once more, while
    /// nothing else runs, and that run counts; 0: none is.
    pub rerun_margin_percent: u32,
    /// Such reruns of one submission.
    pub max_reruns: u32,
}

impl Default for JudgingConfig {
    fn default() -> Self {
        Self {
            max_queued: 100_000,
            active: 0,
            max_tests: 2000,
            max_groups: 200,
            max_batch: 1000,
            kept_output_bytes: 4096,
            max_output_bytes: 256 << 20,
            rerun_margin_percent: 10,
            max_reruns: 3,
        }
    }
}

impl JudgingConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        for (key, value, most) in [
            ("max_queued", self.max_queued, MOST_QUEUED),
            ("max_tests", self.max_tests, MOST_TESTS),
            ("max_groups", self.max_groups, MOST_TESTS),
            ("max_batch", self.max_batch, MOST_TESTS),
        ] {
            anyhow::ensure!(
                (1..=most).contains(&value),
                "judging.{key} must be 1 to {most}"
            );
        }
        anyhow::ensure!(
            self.active <= MOST_TESTS,
            "judging.active must be 0 to {MOST_TESTS}"
        );
        for (key, value) in [
            ("rerun_margin_percent", self.rerun_margin_percent),
            ("max_reruns", self.max_reruns),
        ] {
            anyhow::ensure!(
                value <= MOST_RERUNS,
                "judging.{key} must be 0 to {MOST_RERUNS}"
            );
        }
        for (key, value, most) in [
            (
                "kept_output_bytes",
                self.kept_output_bytes,
                MOST_KEPT_OUTPUT_BYTES,
            ),
            ("max_output_bytes", self.max_output_bytes, MOST_OUTPUT_BYTES),
        ] {
            anyhow::ensure!(value <= most, "judging.{key} must be 0 to {most}");
        }
        Ok(())
    }
}
