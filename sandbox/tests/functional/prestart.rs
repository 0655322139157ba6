//! A program cannot tell whether its interpreter was started before its job was known: everything here
//! runs both ways, and both must come out the same.

use super::harness::{Bench, Outcome};

/// An interpreter, and what its profile gives it.
struct Interpreter {
    script: &'static str,
    args: &'static [&'static str],
    command: &'static [&'static str],
}

const PYTHON: Interpreter = Interpreter {
    script: "main.py",
    args: &["--env", "PYTHONDONTWRITEBYTECODE=1"],
    command: &["/usr/bin/python3", "main.py"],
};
const NODE: Interpreter = Interpreter {
    script: "main.js",
    args: &[
        "--policy",
        "jvm",
        "--processes",
        "64",
        "--open-files",
        "128",
    ],
    command: &["/usr/bin/node", "--max-old-space-size=192", "main.js"],
};
const RUBY: Interpreter = Interpreter {
    script: "main.rb",
    args: &[],
    command: &["/usr/bin/ruby", "main.rb"],
};
const PHP: Interpreter = Interpreter {
    script: "main.php",
    args: &["--mount", "/etc/php"],
    command: &[
        "/usr/bin/php",
        "-d",
        "display_errors=stderr",
        "-d",
        "log_errors=0",
        "main.php",
    ],
};
const PERL: Interpreter = Interpreter {
    script: "main.pl",
    args: &["--env", "PERL_HASH_SEED=0", "--env", "PERL_PERTURB_KEYS=0"],
    command: &["/usr/bin/perl", "-I.", "main.pl"],
};

/// One program with what it is given besides.
struct Case<'a> {
    interpreter: &'a Interpreter,
    source: &'a str,
    /// Further options of `brig-sandbox run`.
    options: &'a [&'a str],
    /// Further words of its command.
    words: &'a [&'a str],
    stdin: &'a [u8],
}

impl<'a> Case<'a> {
    fn new(interpreter: &'a Interpreter, source: &'a str) -> Self {
        Self {
            interpreter,
            source,
            options: &[],
            words: &[],
            stdin: b"first\nsecond\n",
        }
    }

    fn run(&self, prestart: bool) -> Outcome {
        let bench = Bench::new();
        let Interpreter {
            script,
            args,
            command,
        } = self.interpreter;
        let source = bench.path(script);
        std::fs::write(&source, self.source).unwrap();
        let mut all = vec!["--file", source.to_str().unwrap()];
        // A slow machine is not what is tested.
        for (limit, value) in [("--cpu-time", "20s"), ("--wall-time", "60s")] {
            if !self.options.contains(&limit) {
                all.extend([limit, value]);
            }
        }
        all.extend(*args);
        all.extend(self.options);
        if prestart {
            all.extend(["--prestart", script]);
        }
        let command: Vec<&str> = command.iter().chain(self.words).copied().collect();
        bench.run_with_stdin(&all, &command, self.stdin)
    }

    fn plain(&self) -> Outcome {
        let outcome = self.run(false);
        assert_eq!(outcome.report["prestarted"], false, "{outcome:?}");
        outcome
    }

    fn prestarted(&self) -> Outcome {
        let outcome = self.run(true);
        assert_eq!(outcome.report["prestarted"], true, "{outcome:?}");
        outcome
    }

    /// Runs it both ways, and returns what came of it.
    fn same(&self) -> Outcome {
        let (plain, prestarted) = (self.plain(), self.prestarted());
        let seen = |outcome: &Outcome| {
            let stage = &outcome.report["stage"];
            (
                outcome.exit_status,
                outcome.status().to_owned(),
                stage["signal"].clone(),
                stage["violation"].clone(),
                outcome.stdout.clone(),
                outcome.stderr.clone(),
            )
        };
        assert!(
            seen(&plain) == seen(&prestarted),
            "{}",
            first_difference(&plain, &prestarted)
        );
        prestarted
    }
}

/// For people: all of it can be long.
fn first_difference(plain: &Outcome, prestarted: &Outcome) -> String {
    let lines = |o: &Outcome| {
        [o.stdout.lines(), o.stderr.lines()].map(|l| l.map(str::to_owned).collect::<Vec<_>>())
    };
    let (a, b) = (lines(plain).concat(), lines(prestarted).concat());
    let at = a
        .iter()
        .zip(&b)
        .position(|(a, b)| a != b)
        .unwrap_or(a.len().min(b.len()));
    format!(
        "line {at}: plain {:?}, prestarted {:?}; reports {} and {}",
        a.get(at),
        b.get(at),
        plain.report,
        prestarted.report
    )
}

fn same(interpreter: &Interpreter, source: &str) -> Outcome {
    Case::new(interpreter, source).same()
}

/// Everything that a Python program can find out about its process.
const PYTHON_SEES: &str = r"
import gc, os, resource, signal, stat, sys, threading
def show(*what): print(*what)
show('argv', sys.argv, sys.orig_argv, sys.executable, __name__, __file__)
show('path', sys.path, sys.flags, sys.getrecursionlimit(), sorted(sys.modules))
show('environment', sorted(os.environ.items()), os.getcwd(), os.listdir('.'))
show('ids', os.getpid(), os.getppid(), os.getsid(0), os.getpgrp(), os.getresuid(), os.getresgid(), os.getgroups())
umask = os.umask(0); os.umask(umask)
show('umask', umask, os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)))
for name in 'stdin', 'stdout', 'stderr':
    stream = getattr(sys, name)
    show(name, stream.isatty(), stream.seekable(), stream.encoding, stream.errors, stream.line_buffering)
    status = os.fstat(stream.fileno())
    show(stat.S_IFMT(status.st_mode), status.st_blksize, status.st_mode)
show('position', sys.stdin.buffer.tell() if sys.stdin.seekable() else None)
here = os.open('/proc/self/fd', os.O_RDONLY)
show('descriptors', sorted(os.listdir(here)))
for fd in 0, 1, 2:
    info = open(f'/proc/self/fdinfo/{fd}').read()
    show([line for line in info.splitlines() if line.split(':')[0] in ('pos', 'flags')])
show('limits', [(name, resource.getrlimit(getattr(resource, name))) for name in sorted(dir(resource))
                if name.startswith('RLIMIT_') and name != 'RLIMIT_CPU'])
show('threads', threading.active_count(), gc.get_threshold(), gc.get_count()[2])
show('seed', os.environ.get('PYTHONHASHSEED'), hash('seed') if 'PYTHONHASHSEED' in os.environ else None)
show('signals', [(s.name, str(signal.getsignal(s))) for s in sorted(signal.valid_signals()) if hasattr(s, 'name')])
keep = ('Umask', 'State', 'TracerPid', 'Threads', 'NoNewPrivs', 'Seccomp', 'FDSize', 'NSpid', 'NStgid', 'NSsid')
for line in open('/proc/self/status'):
    if line.startswith(keep + ('SigPnd', 'SigBlk', 'SigIgn', 'SigCgt', 'Shd', 'Cap')): show(line.strip())
show('namespaces', open('/proc/self/cgroup').read(), len(open('/proc/self/mountinfo').readlines()))
show('input', sys.stdin.read())
";

#[test]
fn a_python_program_sees_the_same() {
    let case = Case {
        words: &["an argument", ""],
        options: &["--env", "KEY=value", "--env", "PYTHONHASHSEED=0"],
        ..Case::new(&PYTHON, PYTHON_SEES)
    };
    let seen = case.same().ok().stdout;
    for line in [
        "TracerPid:\t0",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapBnd:\t0000000000000000",
    ] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    assert!(seen.contains("ids 2 1 2 2"), "{seen}");
    assert!(seen.ends_with("input first\nsecond\n\n"), "{seen}");
}

#[test]
fn stdin_may_be_a_file() {
    let bench = Bench::new();
    let input = bench.path("input");
    std::fs::write(&input, "from a file\n").unwrap();
    let options = ["--stdin", input.to_str().unwrap()];
    let case = Case {
        options: &options,
        ..Case::new(&PYTHON, PYTHON_SEES)
    };
    let seen = case.same().ok().stdout;
    assert!(seen.contains("stdin False True"), "{seen}");
    assert!(seen.ends_with("input from a file\n\n"), "{seen}");
    let seeks =
        "import sys\nprint(sys.stdin.readline()); sys.stdin.seek(0); print(sys.stdin.read())";
    let case = Case {
        options: &options,
        ..Case::new(&PYTHON, seeks)
    };
    assert_eq!(case.same().ok().stdout, "from a file\n\nfrom a file\n\n");
}

#[test]
fn stdin_may_be_empty() {
    let case = Case {
        stdin: b"",
        ..Case::new(&PYTHON, "import sys\nprint(repr(sys.stdin.read()))")
    };
    assert_eq!(case.same().ok().stdout, "''\n");
}

#[test]
fn what_is_no_pipe_and_no_file_is_not_prestarted() {
    let options = ["--stdin", "/dev/null"];
    let case = Case {
        options: &options,
        ..Case::new(&PYTHON, "print(1)")
    };
    let outcome = case.run(true);
    assert_eq!(outcome.exit_status, 125, "{outcome:?}");
    assert!(outcome.stderr.contains("cannot be held"), "{outcome:?}");
}

#[test]
fn python_programs_end_the_same() {
    for (source, exit_status) in [
        ("import sys\nsys.exit(3)", 3),
        (
            "def f(n):\n  return g(n)\ndef g(n):\n  return [1][n]\nf(2)",
            1,
        ),
        ("print(1", 1),
        ("import nothing_of_that_name", 1),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
            128 + 15,
        ),
        ("import os\nos.abort()", 128 + 6),
        ("import signal\nsignal.raise_signal(signal.SIGINT)", 128 + 2),
        ("import ctypes\nctypes.string_at(0)", 128 + 11),
        ("import os\nos._exit(7)", 7),
        (
            "import atexit\natexit.register(print, 'late')\nraise SystemExit('why')",
            1,
        ),
    ] {
        let outcome = same(&PYTHON, source);
        assert_eq!(outcome.exit_status, exit_status, "{source}: {outcome:?}");
    }
}

#[test]
fn scripts_may_be_large_and_read_themselves() {
    use std::fmt::Write as _;
    let mut source = String::from("import sys\nsize = len(open(__file__).read())\ntotal = 0\n");
    for i in 0..20_000 {
        writeln!(source, "total += {i}").unwrap();
    }
    source += "print(total, size == len(open(sys.argv[0]).read()), size)";
    let outcome = same(&PYTHON, &source).ok();
    assert_eq!(outcome.stdout, format!("199990000 True {}\n", source.len()));
}

#[test]
fn other_files_are_there_and_can_be_imported() {
    let bench = Bench::new();
    let module = bench.path("module.py");
    std::fs::write(&module, "value = 42\n").unwrap();
    let file = format!("{}:package/deep/module.py", module.to_str().unwrap());
    let options = ["--file", file.as_str()];
    let case = Case {
        options: &options,
        ..Case::new(
            &PYTHON,
            "from package.deep import module\nprint(module.value)",
        )
    };
    assert_eq!(case.same().ok().stdout, "42\n");
}

/// What an interpreter has looked for in vain before its job came must not be missed.
#[test]
fn a_file_that_start_up_looks_for_leads_to_a_plain_start() {
    let version = Bench::new().run(
        &[],
        &[
            "/usr/bin/python3",
            "-c",
            "import site\nprint(site.getusersitepackages())",
        ],
    );
    let directory = version.ok().stdout;
    let directory = directory.trim().strip_prefix("/box/").unwrap();
    let bench = Bench::new();
    let custom = bench.path("usercustomize.py");
    std::fs::write(&custom, "print('customized')\n").unwrap();
    let file = format!("{}:{directory}/usercustomize.py", custom.to_str().unwrap());
    let options = ["--file", file.as_str()];
    let case = Case {
        options: &options,
        ..Case::new(&PYTHON, "print('main')")
    };
    for prestart in [false, true] {
        let outcome = case.run(prestart).ok();
        assert_eq!(outcome.stdout, "customized\nmain\n");
        assert_eq!(outcome.report["prestarted"], false);
        assert_eq!(outcome.stderr.contains("already looked for"), prestart);
    }
}

#[test]
fn seeds_are_as_random() {
    let source =
        "import os, random\nprint(hash('x'), random.random(), os.urandom(8).hex(), id(object()))";
    let case = Case::new(&PYTHON, source);
    let outputs = [case.plain(), case.prestarted(), case.prestarted()].map(|o| o.ok().stdout);
    for part in 0..4 {
        let mut seen: Vec<_> = outputs
            .iter()
            .map(|o| o.split(' ').nth(part).unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 3, "part {part}: {outputs:?}");
    }
}

#[test]
fn start_up_is_not_accounted_for() {
    let case = Case::new(&PYTHON, "print(1)");
    let (plain, prestarted) = (case.plain().ok(), case.prestarted().ok());
    let key = "page_faults_minor";
    assert!(
        prestarted.usage(key) < plain.usage(key) / 2,
        "{prestarted:?}"
    );
    assert!(
        prestarted.cpu_us() < plain.cpu_us(),
        "{prestarted:?} {plain:?}"
    );
    assert_eq!(prestarted.usage("processes_peak"), 1);
    // Its memory is the program's, though.
    let key = "memory_peak_bytes";
    assert!(
        prestarted.usage(key) > plain.usage(key) / 2,
        "{prestarted:?} {plain:?}"
    );
    let works = Case::new(
        &PYTHON,
        // The process's own clock runs since its start.
        "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass",
    );
    let cpu_us = works.prestarted().ok().cpu_us();
    assert!((300_000..2_000_000).contains(&cpu_us), "{cpu_us}");
}

#[test]
fn limits_end_programs_the_same() {
    let threads = "import threading, time\nfor i in range(99):\n  threading.Thread(target=time.sleep, args=(1,)).start()";
    for (options, source, outcome) in [
        (
            &["--cpu-time", "300ms"][..],
            "while True: pass",
            "cpu_time_limit",
        ),
        (
            &["--wall-time", "300ms"],
            "import time\ntime.sleep(60)",
            "wall_time_limit",
        ),
        (
            &["--memory", "64M"],
            "x = bytearray(200 << 20)",
            "memory_limit",
        ),
        (
            &["--output", "4K"],
            "while True: print('x' * 99)",
            "output_limit",
        ),
        (&["--processes", "8"], threads, "exited"),
        (
            &["--file-size", "4K"],
            "open('f', 'wb').write(bytes(8192))",
            "exited",
        ),
        (
            &["--disk", "1M"],
            "open('f', 'wb').write(bytes(8 << 20))",
            "exited",
        ),
        (
            &["--open-files", "16"],
            "[open('/dev/null') for i in range(99)]",
            "exited",
        ),
        (
            &["--stack", "2M"],
            "def f(n): return f(n + 1)\nf(0)",
            "exited",
        ),
    ] {
        let case = Case {
            options,
            ..Case::new(&PYTHON, source)
        };
        let (plain, prestarted) = (case.plain(), case.prestarted());
        assert_eq!(plain.outcome(), outcome, "{source}: {plain:?}");
        assert_eq!(prestarted.outcome(), outcome, "{source}: {prestarted:?}");
        assert_eq!(plain.exit_status, prestarted.exit_status, "{source}");
        if outcome == "exited" {
            let last = |o: &Outcome| o.stderr.lines().last().map(str::to_owned);
            assert_eq!(last(&plain), last(&prestarted), "{source}");
        }
    }
}

#[test]
fn rlimit_cpu_is_that_of_the_job() {
    let source = "import resource\nprint(*resource.getrlimit(resource.RLIMIT_CPU))";
    for outcome in [
        Case::new(&PYTHON, source).plain(),
        Case::new(&PYTHON, source).prestarted(),
    ] {
        let stdout = outcome.ok().stdout;
        let (soft, hard) = stdout.trim().split_once(' ').unwrap();
        assert_eq!(soft, hard);
        // The limit is 20 s; a start-up of whole seconds would show.
        assert!((22..40).contains(&soft.parse::<u32>().unwrap()), "{stdout}");
    }
}

#[test]
fn forbidden_calls_are_named_the_same() {
    let source = "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)";
    let outcome = same(&PYTHON, source);
    assert_eq!(outcome.outcome(), "policy_violation");
    assert_eq!(outcome.report["stage"]["violation"]["syscall"], "ptrace");
}

#[test]
fn children_of_the_program_are_its_own() {
    let source = "import os, subprocess\nprint(subprocess.run(['/bin/echo', 'child'], capture_output=True))\n\
                  pid = os.fork()\nif pid == 0: os._exit(5)\nprint(pid, os.waitpid(pid, 0)[1])";
    let outcome = same(&PYTHON, source).ok();
    assert_eq!(outcome.usage("processes_peak"), 2);
}

#[test]
fn files_come_back() {
    let bench = Bench::new();
    let back = bench.path("back");
    std::fs::create_dir(&back).unwrap();
    let options = ["--collect", "out/*", "--output-dir", back.to_str().unwrap()];
    let case = Case {
        options: &options,
        ..Case::new(
            &PYTHON,
            "import os\nos.mkdir('out')\nopen('out/x', 'w').write('made')",
        )
    };
    case.prestarted().ok();
    assert_eq!(std::fs::read_to_string(back.join("out/x")).unwrap(), "made");
}

#[test]
fn an_interpreter_that_is_done_before_its_script_is_not_held() {
    let case = Case {
        words: &[],
        ..Case::new(
            &Interpreter {
                script: "main.py",
                args: &[],
                command: &["/usr/bin/python3", "-c", "print(1)"],
            },
            "",
        )
    };
    let outcome = case.run(true);
    assert_eq!(outcome.exit_status, 125, "{outcome:?}");
    assert!(
        outcome.stderr.contains("ended without reading"),
        "{outcome:?}"
    );
}

#[test]
fn an_interpreter_that_writes_or_reads_before_its_script_is_not_held() {
    for (program, why) in [
        ("echo early; cat main.sh", "wrote"),
        ("read line; cat main.sh", "read its input"),
        ("exec 7>&1; cat main.sh", "moved"),
    ] {
        let bench = Bench::new();
        let script = bench.path("main.sh");
        std::fs::write(&script, "content\n").unwrap();
        let input = bench.path("input");
        std::fs::write(&input, "a\nb\n").unwrap();
        let outcome = bench.run(
            &[
                "--file",
                script.to_str().unwrap(),
                "--stdin",
                input.to_str().unwrap(),
                "--prestart",
                "main.sh",
            ],
            // The shell itself opens the file.
            &[
                "/bin/sh",
                "-c",
                &program.replace("cat main.sh", "read x <main.sh; echo $x"),
            ],
        );
        // An empty file has nothing to read, so nothing was lost.
        if why == "read its input" {
            assert_eq!(outcome.exit_status, 0, "{outcome:?}");
            continue;
        }
        assert_eq!(outcome.exit_status, 125, "{program}: {outcome:?}");
        assert!(outcome.stderr.contains(why), "{program}: {outcome:?}");
    }
}

#[test]
fn node_programs_see_and_do_the_same() {
    let source = r#"
const fs = require("fs");
console.log(process.argv, process.execArgv, process.execPath, __filename, module.paths, require.main === module);
console.log(Object.entries(process.env).sort(), process.cwd(), fs.readdirSync("."));
console.log(process.pid, process.ppid, process.getuid(), process.umask(), process.stdin.isTTY, process.stdout.isTTY);
console.log(process.stdout.constructor.name, process.stderr.constructor.name, process.stdin.constructor.name);
console.log(fs.readdirSync("/proc/self/fd").length, process.resourceUsage().swappedOut, process.exitCode);
const kept = /^(TracerPid|NoNewPrivs|Seccomp|Cap|Sig[^Q]|Shd|Threads|Umask)/;
console.log(fs.readFileSync("/proc/self/status", "utf8").split("\n").filter((line) => kept.test(line)));
console.log(fs.readFileSync("/proc/self/limits", "utf8").split("\n").filter((line) => !/cpu time/.test(line)));
process.stdin.on("data", (data) => console.log("data", String(data))).on("end", () => console.log("end"));
setTimeout(() => console.log("timer"), 20);
"#;
    let case = Case {
        words: &["argument"],
        ..Case::new(&NODE, source)
    };
    let seen = case.same().ok().stdout;
    assert!(
        seen.contains("TracerPid:\\t0") && seen.contains("timer"),
        "{seen}"
    );
    for (source, exit_status) in [
        ("process.exitCode = 4", 4),
        ("function f() { throw new Error('why') }\nf()", 1),
        ("let x = ;", 1),
        ("require('./nothing')", 1),
        (
            "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 60000)",
            128 + 15,
        ),
        ("Promise.reject(new Error('unhandled'))", 1),
        (
            "console.log(require('fs').readFileSync(0, 'utf8').length)",
            0,
        ),
        ("import('os').then((os) => console.log(os.EOL.length))", 0),
    ] {
        let outcome = same(&NODE, source);
        assert_eq!(outcome.exit_status, exit_status, "{source}: {outcome:?}");
    }
}

#[test]
fn ruby_programs_see_and_do_the_same() {
    let source = "p ARGV, $0, __FILE__, $LOAD_PATH, ENV.sort, Dir.pwd, Dir.children('.').sort, Process.pid, Process.ppid\n\
                p $stdin.tty?, $stdout.tty?, $stdin.external_encoding, $stdout.sync, Dir.children('/proc/self/fd').size\n\
                puts File.readlines('/proc/self/status').grep(/^(Tracer|NoNew|Seccomp|Cap|Sig[^Q]|Threads)/)\n\
                p gets, $stdin.read, Gem::VERSION, $LOADED_FEATURES.size";
    let seen = same(&RUBY, source).ok().stdout;
    assert!(seen.contains("TracerPid:\t0"), "{seen}");
    for (source, exit_status) in [
        ("exit 3", 3),
        ("def f = raise('why')\nf", 1),
        ("puts(", 1),
        ("require 'nothing_of_that_name'", 1),
        ("Process.kill(:TERM, Process.pid); sleep", 128 + 15),
        ("puts DATA.read\n__END__\nafter the end", 0),
        ("Thread.new { puts 'thread' }.join", 0),
    ] {
        let outcome = same(&RUBY, source);
        assert_eq!(outcome.exit_status, exit_status, "{source}: {outcome:?}");
    }
}

#[test]
fn php_programs_see_and_do_the_same() {
    let source = "<?php\nvar_dump($argv, __FILE__, getcwd(), scandir('.'), getmypid(), get_included_files(), ini_get_all());\n\
                foreach (file('/proc/self/status') as $line)\n\
                  if (preg_match('/^(Tracer|NoNew|Seccomp|Cap|Sig[^Q]|Threads)/', $line)) echo $line;\n\
                var_dump(stream_isatty(STDIN), fgets(STDIN), stream_get_contents(STDIN), count(scandir('/proc/self/fd')));\n\
                ksort($_SERVER); unset($_SERVER['REQUEST_TIME'], $_SERVER['REQUEST_TIME_FLOAT']); var_dump($_SERVER);\n\
                var_dump(abs($_SERVER['REQUEST_TIME'] ?? 0), time() > 0);";
    let seen = same(&PHP, source).ok().stdout;
    assert!(seen.contains("TracerPid:\t0"), "{seen}");
    for (source, exit_status) in [
        ("<?php exit(3);", 3),
        (
            "<?php function f() { throw new Exception('why'); } f();",
            255,
        ),
        ("<?php echo (;", 255),
        ("<?php require 'nothing.php';", 255),
        ("plain text", 0),
        ("<?php fwrite(STDERR, 'error'); echo 'output';", 0),
    ] {
        let outcome = same(&PHP, source);
        assert_eq!(outcome.exit_status, exit_status, "{source}: {outcome:?}");
    }
}

#[test]
fn perl_programs_see_and_do_the_same() {
    let source = "print join(' ', @ARGV, $0, __FILE__, @INC, $$, getppid(), -t STDIN ? 1 : 0), \"\\n\";\n\
                print map { \"$_=$ENV{$_}\\n\" } sort keys %ENV;\n\
                open my $s, '<', '/proc/self/status'; print grep { /^(Tracer|NoNew|Seccomp|Cap|Sig[^Q]|Threads)/ } <$s>;\n\
                print scalar(<STDIN>), <STDIN>, <DATA>;\n__DATA__\nafter the end\n";
    let seen = same(&PERL, source).ok().stdout;
    assert!(seen.contains("TracerPid:\t0"), "{seen}");
    for (source, exit_status) in [
        ("exit 3", 3),
        ("sub f { die 'why' } f()", 255),
        ("print (", 255),
        ("use Nothing::Of::That::Name;", 2),
        ("kill 'TERM', $$; sleep 60", 128 + 15),
    ] {
        let outcome = same(&PERL, source);
        assert_eq!(outcome.exit_status, exit_status, "{source}: {outcome:?}");
    }
}

/// The attacks that are Python programs, on an interpreter that waited for them.
#[test]
fn attacks_are_refused_as_in_a_plain_start() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/information");
    let mut tried = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "py") {
            continue;
        }
        let interpreter = Interpreter {
            script: "attack",
            command: &["/usr/bin/python3", "attack"],
            ..PYTHON
        };
        let source = std::fs::read_to_string(&path).unwrap();
        let outcome = Case::new(&interpreter, &source).prestarted();
        // 42 would be success.
        assert_eq!(outcome.exit_status, 0, "{}: {outcome:?}", path.display());
        tried += 1;
    }
    assert!(tried >= 7, "{tried}");
}
