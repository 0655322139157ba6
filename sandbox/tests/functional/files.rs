//! Files in, files out, standard streams.

use std::os::unix::fs::PermissionsExt;

use super::harness::Bench;

#[test]
fn files_arrive_with_their_modes_and_come_back() {
    let bench = Bench::new();
    std::fs::write(
        bench.path("script"),
        "#!/bin/sh\nmkdir -p out/deep; cat data > out/deep/copy; ln -s /etc/passwd out/link; \
        mkfifo out/pipe; echo x > out/run; chmod 755 out/run; echo y > other\n",
    )
    .unwrap();
    std::fs::set_permissions(bench.path("script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(bench.path("data"), "hello").unwrap();
    let (script, data, out) = (bench.path("script"), bench.path("data"), bench.path("back"));
    let args = [
        "--file",
        script.to_str().unwrap(),
        "--file",
        data.to_str().unwrap(),
        "--collect",
        "out/**",
        "--output-dir",
        out.to_str().unwrap(),
    ];
    bench.run(&args, &["./script"]).ok();
    assert_eq!(
        std::fs::read_to_string(out.join("out/deep/copy")).unwrap(),
        "hello"
    );
    assert_eq!(
        std::fs::metadata(out.join("out/run"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
    assert!(
        !out.join("out/link").is_symlink(),
        "symbolic links do not come back"
    );
    assert!(!out.join("out/pipe").exists(), "pipes do not come back");
    assert!(
        !out.join("other").exists(),
        "only what was asked for comes back"
    );
}

#[test]
fn too_much_to_bring_back_is_an_error_and_not_a_flood() {
    let bench = Bench::new();
    let out = bench.path("back");
    let args = [
        "--collect",
        "**",
        "--output-dir",
        out.to_str().unwrap(),
        "--disk",
        "1M",
    ];
    let done = bench.run(&args, &["truncate", "-s", "15M", "sparse"]);
    assert_eq!(done.exit_status, 125, "{done:?}");
    assert!(done.stderr.contains("larger than"), "{done:?}");
}

#[test]
fn stdin_is_passed_through() {
    let bench = Bench::new();
    assert_eq!(
        bench.run_with_stdin(&[], &["cat"], b"abc").ok().stdout,
        "abc"
    );
    std::fs::write(bench.path("in"), "from a file").unwrap();
    let path = bench.path("in");
    assert_eq!(
        bench
            .run(&["--stdin", path.to_str().unwrap()], &["cat"])
            .ok()
            .stdout,
        "from a file"
    );
}

#[test]
fn the_standard_streams_can_be_opened_by_name() {
    let done = Bench::new()
        .run(
            &[],
            &["sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"],
        )
        .ok();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn a_host_path_can_be_mounted_read_only() {
    let bench = Bench::new();
    std::fs::write(bench.path("secret"), "42").unwrap();
    std::fs::set_permissions(bench.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mount = format!("{}:/usr/local/share/extra", bench.dir.path().display());
    let mount = if std::path::Path::new("/usr/local/share/extra").exists() {
        mount
    } else {
        mount.replace("/usr/local/share/extra", "/usr/share/doc")
    };
    let inside = mount.split_once(':').unwrap().1.to_owned();
    let done = bench
        .run(&["--mount", &mount], &["cat", &format!("{inside}/secret")])
        .ok();
    assert_eq!(done.stdout, "42");
    let done = bench.run(
        &["--mount", &mount],
        &["sh", "-c", &format!("echo x > {inside}/secret")],
    );
    assert_eq!(done.status(), "runtime_error", "{done:?}");
}

#[test]
fn attached_files_land_whole_and_read_only_and_are_charged_to_the_sandbox() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(bench.path("big"), &content).unwrap();
    std::fs::write(bench.path("small"), "small").unwrap();
    let (big, small) = (bench.path("big"), bench.path("small"));
    let deep = format!("{}:in/deep/er", small.display());
    let args = ["--attach", big.to_str().unwrap(), "--attach", &deep];
    let script = "sha256sum < big; cat in/deep/er; stat -c ' %a' big in/deep/er; \
                  (echo x >> big) 2>/dev/null || echo refused";
    let done = bench.run(&args, &["sh", "-c", script]).ok();
    let sum = std::process::Command::new("sha256sum")
        .stdin(std::fs::File::open(&big).unwrap())
        .output()
        .unwrap();
    let expected = format!(
        "{}small 444\n 444\nrefused\n",
        String::from_utf8_lossy(&sum.stdout)
    );
    assert_eq!(done.stdout, expected);
    let peak = done.usage("memory_peak_bytes");
    assert!(peak > content.len() as u64, "{peak}");
    let mut limited = args.to_vec();
    limited.extend(["--memory", "6M"]);
    let done = bench.run(&limited, &["true"]);
    assert_eq!(done.outcome(), "memory_limit", "{done:?}");
}

#[test]
fn what_cannot_be_attached_is_said_and_nothing_waits_for_it() {
    let bench = Bench::new();
    let fifo = bench.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let directory = bench.path("directory");
    std::fs::create_dir(&directory).unwrap();
    for path in [
        fifo.as_path(),
        directory.as_path(),
        std::path::Path::new("/dev/zero"),
    ] {
        let done = bench.run(&["--attach", path.to_str().unwrap()], &["true"]);
        assert_eq!(done.exit_status, 125, "{done:?}");
        assert!(
            done.stderr.contains("copy the attached files to /box")
                && done.stderr.contains("not of a regular file"),
            "{done:?}"
        );
    }
    let sparse = bench.path("sparse");
    std::fs::File::create(&sparse)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let done = bench.run(
        &["--attach", sparse.to_str().unwrap(), "--disk", "1M"],
        &["true"],
    );
    assert_eq!(done.exit_status, 125, "{done:?}");
    assert!(done.stderr.contains("No space left"), "{done:?}");
}
