//! Every limit ends a program with the outcome that names it.

use super::harness::Bench;

fn run(args: &[&str], source: &str) -> super::harness::Outcome {
    Bench::new().run_c(args, source)
}

#[test]
fn a_program_that_exits_is_reported_with_its_code() {
    let done = run(&[], "int main(){return 7;}");
    assert_eq!(
        (done.status(), done.outcome(), done.exit_status),
        ("runtime_error", "exited", 7)
    );
    assert_eq!(done.report["stage"]["exit_code"], 7);
}

#[test]
fn a_program_that_crashes_is_reported_with_its_signal() {
    let done = run(&[], "#include <stdlib.h>\nint main(){abort();}");
    assert_eq!((done.outcome(), done.exit_status), ("signaled", 128 + 6));
    assert_eq!(done.report["stage"]["signal"], "SIGABRT");
}

#[test]
fn cpu_time_ends_a_spinning_program() {
    let done = run(&["--cpu-time", "200ms"], "int main(){for(;;);}");
    assert_eq!(
        (done.status(), done.outcome(), done.exit_status),
        ("time_limit_exceeded", "cpu_time_limit", 120)
    );
    assert!(done.cpu_us() >= 200_000, "{done:?}");
}

#[test]
fn cpu_time_counts_all_threads_and_processes() {
    let source = "#include <pthread.h>\n#include <unistd.h>\n\
        static void*spin(void*x){for(;;);return x;}\n\
        int main(){pthread_t t;fork();pthread_create(&t,0,spin,0);spin(0);}";
    let done = run(
        &["--cpu-time", "300ms", "--wall-time", "60s", "--cpus", "64"],
        source,
    );
    assert_eq!(done.outcome(), "cpu_time_limit", "{done:?}");
}

#[test]
fn wall_time_ends_a_sleeping_program() {
    let done = run(
        &["--wall-time", "200ms"],
        "#include <unistd.h>\nint main(){for(;;)pause();}",
    );
    assert_eq!(
        (done.status(), done.outcome(), done.exit_status),
        ("time_limit_exceeded", "wall_time_limit", 121)
    );
}

#[test]
fn memory_ends_a_hungry_program() {
    let source = "#include <stdlib.h>\n#include <string.h>\nint main(){for(;;)memset(malloc(1<<20),1,1<<20);}";
    let done = run(&["--memory", "32M"], source);
    assert_eq!(
        (done.status(), done.outcome(), done.exit_status),
        ("memory_limit_exceeded", "memory_limit", 122)
    );
    assert_eq!(done.usage("oom_kills"), 1, "{done:?}");
    assert!(done.usage("memory_peak_bytes") <= 32 << 20, "{done:?}");
}

#[test]
fn memory_of_a_child_counts_even_if_the_parent_survives() {
    let source = "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n#include <sys/wait.h>\n\
        int main(){if(!fork())for(;;)memset(malloc(1<<20),1,1<<20);wait(0);pause();}";
    let done = run(&["--memory", "32M", "--wall-time", "30s"], source);
    assert_eq!(done.outcome(), "memory_limit", "{done:?}");
    // v2 kills the group as a whole; on v1 the worker ends what is left of it.
    let v1 = std::path::Path::new("/sys/fs/cgroup/memory").exists();
    assert_eq!(done.usage("oom_kills"), if v1 { 1 } else { 2 }, "{done:?}");
}

#[test]
fn output_ends_a_chatty_program() {
    for stream in [1, 2] {
        let source = format!(
            "#include <unistd.h>\nint main(){{char b[4096]={{0}};for(;;)write({stream},b,4096);}}"
        );
        let done = run(&["--output", "100K"], &source);
        assert_eq!(
            (done.status(), done.outcome(), done.exit_status),
            ("output_limit_exceeded", "output_limit", 123)
        );
        let kept = if stream == 1 {
            &done.stdout
        } else {
            &done.stderr
        };
        assert_eq!(kept.len(), 100 << 10);
    }
}

#[test]
fn output_up_to_the_limit_is_no_violation() {
    let source =
        "#include <unistd.h>\nint main(){char b[1024]={0};for(int i=0;i<100;i++)write(1,b,1024);}";
    let done = run(&["--output", "100K"], source).ok();
    assert_eq!(done.stdout.len(), 100 << 10);
}

#[test]
fn processes_are_capped() {
    let source = "#include <stdio.h>\n#include <unistd.h>\n\
        int main(){int n=1;while(fork()>=0&&n<100)n++;printf(\"%d\\n\",n);fflush(stdout);_exit(0);}";
    // Every child counts on, so only the peak says something.
    let done = run(&["--processes", "8", "--wall-time", "10s"], source);
    assert!(done.usage("processes_peak") <= 8, "{done:?}");
}

#[test]
fn a_forbidden_call_is_named() {
    let source = "#include <sys/ptrace.h>\nint main(){ptrace(PTRACE_TRACEME,0,0,0);return 0;}";
    let done = run(&[], source);
    assert_eq!(
        (done.status(), done.outcome(), done.exit_status),
        ("security_violation", "policy_violation", 124)
    );
    assert_eq!(done.report["stage"]["violation"]["syscall"], "ptrace");
}

#[test]
fn files_are_capped_in_size() {
    let source = "#include <fcntl.h>\n#include <unistd.h>\n\
        int main(){char b[65536]={0};int f=open(\"f\",O_CREAT|O_WRONLY,0600);for(;;)write(f,b,sizeof b);}";
    let done = run(&["--file-size", "1M"], source);
    assert_eq!(done.report["stage"]["signal"], "SIGXFSZ", "{done:?}");
}

#[test]
fn the_disk_is_capped_in_bytes_and_inodes() {
    let source = "#include <errno.h>\n#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n\
        int main(){char b[65536]={0};int f=open(\"/tmp/f\",O_CREAT|O_WRONLY,0600);\n\
        while(write(f,b,sizeof b)>0);int a=errno;close(f);unlink(\"/tmp/f\");\n\
        char n[99];for(int i=0;;i++){sprintf(n,\"f%d\",i);f=open(n,O_CREAT|O_WRONLY,0600);if(f<0)break;close(f);}\n\
        return !(a==ENOSPC&&errno==ENOSPC);}";
    run(&["--disk", "4M", "--inodes", "50"], source).ok();
}

#[test]
fn a_fraction_of_a_cpu_is_enforced() {
    let source = "#include <time.h>\nint main(){struct timespec a,b;clock_gettime(CLOCK_MONOTONIC,&a);\n\
        do clock_gettime(CLOCK_MONOTONIC,&b);while((b.tv_sec-a.tv_sec)*1000+(b.tv_nsec-a.tv_nsec)/1000000<600);}";
    let done = run(&["--cpus", "0.25"], source).ok();
    assert!(done.usage("cpu_throttled_periods") > 0, "{done:?}");
    assert!(done.cpu_us() < done.usage("wall_us") / 2, "{done:?}");
}

#[test]
fn the_stack_is_as_large_as_asked_for() {
    let source = "#include <alloca.h>
int main(){volatile char*p=alloca(30<<20);\
        for(int i=0;i<30<<20;i+=4096)p[i]=1;return 0;}";
    run(&["--stack", "32M"], source).ok();
    assert_eq!(
        run(&["--stack", "8M"], source).report["stage"]["signal"],
        "SIGSEGV"
    );
}
