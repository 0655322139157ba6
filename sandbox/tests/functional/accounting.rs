//! The figures are the program's own, and right.

use super::harness::Bench;

/// Burns `ms` of CPU in `threads` threads and prints what its own clock says. The clocks also count
/// what the process used before it became the program, which is not the program's.
fn burner(ms: u64, threads: u64) -> String {
    format!(
        "#include <pthread.h>\n#include <stdio.h>\n#include <time.h>\n\
         static double ms(clockid_t c){{struct timespec t;clock_gettime(c,&t);return t.tv_sec*1e3+t.tv_nsec/1e6;}}\n\
         static void*burn(void*x){{double b=ms(CLOCK_THREAD_CPUTIME_ID);\
         while(ms(CLOCK_THREAD_CPUTIME_ID)-b<{ms}.0/{threads});return x;}}\n\
         int main(){{double b=ms(CLOCK_PROCESS_CPUTIME_ID);pthread_t t[{threads}];\n\
         for(int i=1;i<{threads};i++)pthread_create(t+i,0,burn,0);burn(0);\n\
         for(int i=1;i<{threads};i++)pthread_join(t[i],0);printf(\"%.3f\\n\",ms(CLOCK_PROCESS_CPUTIME_ID)-b);}}"
    )
}

#[test]
fn cpu_time_is_what_the_program_itself_sees() {
    let bench = Bench::new();
    // What execve and exit take, which the program cannot see: much where the CPU is emulated, and more
    // now and then where the host is busy. An error of the accounting would show in every attempt.
    let attempts = 5;
    let slow = std::env::var_os("BRIG_TEST_SLOW").is_some();
    let slack_us = if slow { 100_000.0 } else { 3_000.0 };
    for (ms, threads) in [(50, 1), (50, 4), (500, 1), (500, 4), (2000, 1), (2000, 4)] {
        let args = ["--cpu-time", "10s", "--wall-time", "60s", "--cpus", "64"];
        let off = || {
            let done = bench.run_c(&args, &burner(ms, threads)).ok();
            let own_us = done.stdout.trim().parse::<f64>().unwrap() * 1000.0;
            #[allow(clippy::cast_precision_loss)]
            let off = (done.cpu_us() as f64 - own_us).abs();
            (off > f64::max(own_us * 0.02, slack_us)).then(|| format!("{off} us: {done:?}"))
        };
        let wrong: Vec<_> = (0..attempts).map_while(|_| off()).collect();
        assert!(
            wrong.len() < attempts,
            "{ms} ms, {threads} threads: off by {wrong:#?}"
        );
    }
}

#[test]
fn the_memory_peak_is_what_was_touched() {
    let bench = Bench::new();
    // On an emulated CPU, touching it all takes seconds.
    let patient = ["--cpu-time", "30s", "--wall-time", "60s"];
    let peak = |mib: u64| {
        let source = format!(
            "#include <string.h>\n#include <sys/mman.h>\nint main(){{size_t n=(size_t){mib}<<20;\
             if(n)memset(mmap(0,n,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0),1,n);return 0;}}"
        );
        bench
            .run_c(&patient, &source)
            .ok()
            .usage("memory_peak_bytes")
    };
    let nothing = peak(0);
    for mib in [1, 16, 128] {
        // Page tables: 8 bytes for each page of 4096.
        let expected = nothing + (mib << 20) + (mib << 11);
        let off = peak(mib).abs_diff(expected);
        assert!(off <= 1 << 20, "{mib} MiB: off by {off} bytes");
    }
}

#[test]
fn files_on_the_tmpfs_count_as_memory() {
    let source = "#include <fcntl.h>\n#include <unistd.h>\nint main(){static char b[1<<20];\
        int f=open(\"/tmp/f\",O_CREAT|O_WRONLY,0600);for(int i=0;i<12;i++)write(f,b,sizeof b);return 0;}";
    let done = Bench::new().run_c(&[], source).ok();
    assert!(done.usage("memory_peak_bytes") > 12 << 20, "{done:?}");
}

#[test]
fn preparing_is_not_counted() {
    let done = Bench::new().run_c(&[], "int main(){return 0;}").ok();
    // The lock-down alone takes more than this many faults.
    assert!(done.usage("page_faults_minor") < 100, "{done:?}");
    assert_eq!(done.usage("processes_peak"), 1);
    assert_eq!(done.usage("oom_kills"), 0);
}
