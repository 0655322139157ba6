//! What a program finds around itself.

use super::harness::Bench;

fn sh(script: &str) -> String {
    Bench::new().run(&[], &["sh", "-c", script]).ok().stdout
}

#[test]
fn it_is_nobody_special_in_an_empty_box() {
    assert_eq!(
        sh("id -un; id -u; id -g; pwd; hostname; ls -A")
            .lines()
            .collect::<Vec<_>>(),
        ["sandbox", "1000", "1000", "/box", "sandbox"]
    );
}

#[test]
fn its_environment_is_made_up() {
    let lines = Bench::new()
        .run(&["--env", "A=b", "--env", "HOME=/tmp"], &["env"])
        .ok()
        .stdout;
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "A=b",
            "HOME=/tmp",
            "LANG=C.UTF-8",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "TMPDIR=/tmp"
        ]
    );
}

#[test]
fn it_has_three_descriptors() {
    let source = "#include <fcntl.h>\n#include <stdio.h>\nint main(){for(int i=0;i<4096;i++)if(fcntl(i,F_GETFD)>=0)printf(\"%d \",i);}";
    assert_eq!(
        Bench::new()
            .run_c(&["--open-files", "64"], source)
            .ok()
            .stdout,
        "0 1 2 "
    );
}

#[test]
fn it_sees_only_its_own_processes() {
    let pids = sh("cd /proc; echo [0-9]*");
    let pids: Vec<u32> = pids
        .split_whitespace()
        .map(|p| p.parse().unwrap())
        .collect();
    assert_eq!(pids, [2]);
}

#[test]
fn signals_are_as_after_login() {
    let source = "#include <signal.h>\n#include <stdio.h>\nint main(){int n=0;for(int i=1;i<65;i++){struct sigaction a;\
        if(!sigaction(i,0,&a)&&a.sa_handler!=SIG_DFL)n++;}sigset_t s;sigprocmask(0,0,&s);\
        for(int i=1;i<65;i++)n+=sigismember(&s,i)>0;printf(\"%d\",n);}";
    assert_eq!(Bench::new().run_c(&[], source).ok().stdout, "0");
}

#[test]
fn a_program_that_cannot_be_executed_is_told_as_a_shell_tells_it() {
    let bench = Bench::new();
    assert_eq!(bench.run(&[], &["no-such-program"]).exit_status, 127);
    std::fs::write(bench.path("garbage"), [0x7f, b'E', b'L', b'F', 1, 2, 3]).unwrap();
    let path = bench.path("garbage");
    let done = bench.run(&["--file", path.to_str().unwrap()], &["./garbage"]);
    assert_eq!(done.exit_status, 126, "{done:?}");
    assert!(done.stderr.contains("cannot execute"), "{done:?}");
}

#[test]
fn strict_programs_cannot_execute_others() {
    let source =
        "#include <unistd.h>\nint main(){execl(\"/bin/true\",\"true\",(char*)0);return 0;}";
    let done = Bench::new().run_c(&["--policy", "strict"], source);
    assert_eq!(
        done.report["stage"]["violation"]["syscall"], "execve",
        "{done:?}"
    );
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    let bench = Bench::new();
    for (args, word) in [
        (vec!["--policy", "nonsense"], "there are compile, default"),
        (vec!["--memory", "12Q"], "unknown unit"),
        (vec!["--without", "nonsense"], "the layers are"),
        (vec!["--file", "/no/such/file"], "/no/such/file"),
        (vec!["--file", "/bin/true:../x"], "'..'"),
    ] {
        let done = bench.run(&args, &["true"]);
        assert_eq!(done.exit_status, 125, "{args:?}: {done:?}");
        assert!(done.stderr.contains(word), "{args:?}: {done:?}");
    }
}
