//! What all CPUs did, from `/proc/stat` (proc(5)).

/// Times of all CPUs together, in microseconds.
#[derive(Clone, Copy)]
#[allow(clippy::struct_field_names)] // the unit
pub(crate) struct Cpu {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    pub(crate) interrupt_us: u64,
    pub(crate) idle_us: u64,
}

/// What `work` answers, and what the machine did meanwhile and shortly after: kernel threads clean up
/// later.
pub(crate) fn cpu_of<T>(work: impl FnOnce() -> T) -> (T, Cpu) {
    let before = read();
    let answer = work();
    let after = read();
    let cpu = Cpu {
        user_us: after.user_us - before.user_us,
        system_us: after.system_us - before.system_us,
        interrupt_us: after.interrupt_us - before.interrupt_us,
        idle_us: after.idle_us.saturating_sub(before.idle_us),
    };
    (answer, cpu)
}

fn read() -> Cpu {
    /// `USER_HZ` is 100 on every architecture in use.
    const TICK_US: u64 = 10_000;
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let line = text.lines().next().unwrap();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    Cpu {
        user_us: (ticks[0] + ticks[1]) * TICK_US,
        system_us: ticks[2] * TICK_US,
        idle_us: (ticks[3] + ticks[4]) * TICK_US,
        interrupt_us: (ticks[5] + ticks[6]) * TICK_US,
    }
}
