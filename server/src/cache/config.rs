//! Configuration of the compile cache.

use serde::{Deserialize, Serialize};

/// The largest [`CompileCacheConfig::max_bytes`].
const MOST_MAX_BYTES: u64 = 16 << 40;
/// The largest [`CompileCacheConfig::memory_bytes`].
const MOST_MEMORY_BYTES: u64 = 64 << 30;
/// The largest [`CompileCacheConfig::max_entry_bytes`].
const MOST_ENTRY_BYTES: u64 = 1 << 30;

/// The compile cache (`[compile_cache]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompileCacheConfig {
    /// Bytes that compiled programs may take on disk; those used longest ago go first. 0: none are
    /// kept on disk.
    pub max_bytes: u64,
    /// Bytes of compiled programs that are kept in memory as well. 0: none but those in use.
    pub memory_bytes: u64,
    /// A compiled program with more bytes than this is not kept.
    pub max_entry_bytes: u64,
}

impl Default for CompileCacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            memory_bytes: 64 << 20,
            max_entry_bytes: 64 << 20,
        }
    }
}

impl CompileCacheConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        let ranges = [
            ("max_bytes", self.max_bytes, MOST_MAX_BYTES),
            ("memory_bytes", self.memory_bytes, MOST_MEMORY_BYTES),
            ("max_entry_bytes", self.max_entry_bytes, MOST_ENTRY_BYTES),
        ];
        for (key, value, most) in ranges {
            anyhow::ensure!(value <= most, "compile_cache.{key} must be 0 to {most}");
        }
        Ok(())
    }
}
