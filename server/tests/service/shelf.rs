//! Compiled programs that run again are shown from the worker's shelf, and run as if they had been copied.

use serde_json::{Value, json};

use super::harness::Service;

/// Says where `./main` is: `copied` if it is on the file system of `/box`, else the file's number.
const WHERE: &str = r#"
#include <stdio.h>
#include <sys/stat.h>
int main(void) {
    struct stat box, file;
    if (stat("/box", &box) || stat("main", &file)) return 1;
    if (box.st_dev == file.st_dev) printf("copied");
    else printf("%lu", (unsigned long)file.st_ino);
    return file.st_uid == 1000 && (file.st_mode & 0777) == 0755 ? 0 : 2;
}
"#;

/// Names each call that works and should not.
const CHANGE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define TRY(call) do { if ((call) >= 0) printf("%s\n", #call); } while (0)
int main(void) {
    TRY(open("main", O_WRONLY));
    TRY(open("main", O_RDWR));
    TRY(open("/proc/self/exe", O_RDWR));
    TRY(truncate("main", 0));
    TRY(chmod("main", 0777));
    TRY(utimensat(AT_FDCWD, "main", 0, 0));
    TRY(link("main", "other"));
    TRY(unlink("main"));
    TRY(rename("main", "other"));
    int fd = open("main", O_RDONLY);
    TRY(fchmod(fd, 0777));
    TRY(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    struct stat file;
    return fd < 0 || fstat(fd, &file) || file.st_size < 100000;
}
"#;

fn c(source: &str, args: &[&str]) -> Value {
    json!({"language": "c", "source": source, "compiler_args": args})
}

#[test]
fn a_program_that_runs_again_is_kept_and_shown() {
    let service = Service::settled_for("c", &["--workers", "1"]);
    let place = |request: &Value| {
        let answer = service.run(request);
        assert_eq!(answer["status"], "ok", "{answer}");
        answer["run"]["stdout"].as_str().unwrap().to_owned()
    };
    // The control: what is small is copied.
    let small = c(WHERE, &[]);
    assert_eq!(place(&small), "copied");
    let large = c(WHERE, &["-static"]);
    let other = c(WHERE, &["-static", "-O1"]);
    // While it is idle for a second a worker gives up what it keeps, and a slow machine may be.
    let kept = (0..10).any(|_| {
        let (first, between, again) = (place(&large), place(&other), place(&large));
        assert!(first != "copied" && between != first);
        first == again
    });
    assert!(kept);
    assert!(service.stop().success());
}

#[test]
fn nothing_inside_can_change_what_is_shown() {
    let service = Service::settled_for("c", &["--workers", "1"]);
    let large = c(CHANGE, &["-static"]);
    for _ in 0..3 {
        let answer = service.run(&large);
        assert_eq!(answer["run"]["stdout"], "", "{answer}");
        assert_eq!(answer["status"], "ok", "{answer}");
    }
    // The control: its own copy a program can take apart.
    let answer = service.run(&c(CHANGE, &["-Wl,-s"]));
    let said = answer["run"]["stdout"].as_str().unwrap();
    for call in ["chmod", "link", "unlink"] {
        assert!(said.contains(call), "{answer}");
    }
    assert!(service.stop().success());
}
