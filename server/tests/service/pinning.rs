//! Workers that are kept on a CPU.

use serde_json::json;

use super::harness::Service;

/// Prints on how many CPUs it may run, and how many it gets when it asks for all.
const CPUS: &str = "import os\nprint(len(os.sched_getaffinity(0)))\n\
    try: os.sched_setaffinity(0, range(1024))\nexcept OSError: pass\n\
    print(len(os.sched_getaffinity(0)))\n";

#[test]
fn programs_stay_on_their_workers_cpu() {
    let service = Service::settled(&["--workers", "2", "--pin-workers"]);
    let has_cpuset = std::fs::read_to_string("/proc/self/cgroup")
        .unwrap()
        .contains(":cpuset:")
        || std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
            .is_ok_and(|controllers| controllers.contains("cpuset"));
    for _ in 0..4 {
        let (status, answer) =
            service.post("/v1/runs", &json!({"language": "python", "source": CPUS}));
        assert_eq!(status, 200, "{answer}");
        let stdout = answer["run"]["stdout"].as_str().unwrap();
        let mut lines = stdout.lines();
        assert_eq!(lines.next(), Some("1"), "{answer}");
        if has_cpuset {
            assert_eq!(lines.next(), Some("1"), "{answer}");
        }
    }
}
