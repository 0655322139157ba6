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
