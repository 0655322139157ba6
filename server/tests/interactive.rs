//! Conversations between programs and interactors in real sandboxes, on workers that this program
//! starts itself.
//!
//! A worker is this same binary, and is started while there is one thread: so this is a `main`.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::identity::{DEFAULT_UID_BASE, Identity};
use brig_sandbox::layers::Layers;
use brig_sandbox::limits::Limits;
use brig_sandbox::policy::{self, Compiled};
use brig_sandbox::protocol::Job;
use brig_sandbox::report::Outcome;
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::spawn::{Launcher, WorkerProcess};
use brig_sandbox::sys::memfd;
use brig_sandbox::sys::process::reap_pidfd;
use brig_sandbox::{archive, spawn};
use brig_server::api::CheckerProtocol;
use brig_server::judge::checker::{Judged, Judgement, Setup};
use brig_server::judge::interactive::{
    Deadlock, Pairs, PlayOptions, Played, Role, Ruling, What, Words, play, verdict,
};
use brig_server::pool::{Archive, Class, Inputs, Lease, Pace, Pool, Session, Turn};
use libtest_mimic::{Arguments, Trial};

/// Says whether the number looked for is less than, more than or equal to each line.
const GUESSING: &str = r#"
import sys
secret, said = int(open(sys.argv[1]).read()), int(open(sys.argv[2]).read())
def end(code, why):
    with open(sys.argv[3] + "judgemessage.txt", "w") as f: f.write(why)
    sys.exit(code)
for _ in range(said):
    line = sys.stdin.readline()
    if not line: end(43, "no guess")
    guess = int(line)
    if guess == secret:
        print("equal", flush=True)
        end(42, "found")
    print("less" if secret < guess else "more", flush=True)
end(43, "too many guesses")
"#;

/// Finds it, and does `{}` before each guess.
const SEARCH: &str = r"
import os, signal, sys, time
low, high = 0, 1000
while True:
    guess = (low + high) // 2
    {}
    print(guess, flush=True)
    answer = input()
    if answer == 'less': high = guess - 1
    elif answer == 'more': low = guess + 1
    else: break
";

fn search(before: &str) -> String {
    SEARCH.replace("{}", before)
}

const PATIENT: Limits = Limits {
    cpu_time_ms: 20_000,
    wall_time_ms: 60_000,
    ..Limits::DEFAULT
};

/// Kept of a conversation's beginning, and of its end.
const TRANSCRIPT_BYTES: u64 = 4096;

/// One conversation, and what it came to.
struct Case {
    program: String,
    interactor: String,
    program_limits: Limits,
    interactor_limits: Limits,
}

struct Outcomes {
    ruling: Ruling,
    played: Played,
    took: Duration,
}

fn case(program: &str, interactor: &str) -> Case {
    Case {
        program: program.to_owned(),
        interactor: interactor.to_owned(),
        program_limits: PATIENT,
        interactor_limits: PATIENT,
    }
}

async fn open(lease: Lease, source: &str, limits: Limits, judge: bool) -> Session {
    let setup = Setup::of_interactor(CheckerProtocol::Icpc);
    let mut files = vec![("main.py", source.as_bytes(), false)];
    let mut job = Job {
        policy: "default".to_owned(),
        argv: vec!["/usr/bin/python3".to_owned(), "main.py".to_owned()],
        limits,
        ..Job::default()
    };
    let mut inputs = Inputs::default();
    if judge {
        files.extend(setup.placeholders.iter().map(|p| (*p, &b""[..], false)));
        job.argv.extend(setup.args.iter().map(|a| (*a).to_owned()));
        job.collect = setup.collect();
        for ((name, _), content) in setup.files.iter().zip([&b"333"[..], b"20"]) {
            let fd = memfd::read_only(c"data", content).unwrap();
            inputs.files.push(((*name).to_owned(), Arc::new(fd)));
        }
    }
    inputs.archives = vec![Archive::once(archive::pack(files).unwrap())];
    lease.open(job, inputs, Pace::Programs).await.unwrap()
}

impl Case {
    async fn run(&self, pool: &Pool) -> Outcomes {
        let turn = Turn::judging(Class::Normal, None);
        let (first, second) = Pairs::default().lease(pool, turn).await.unwrap();
        let mut interactor = open(first, &self.interactor, self.interactor_limits, true).await;
        assert!(interactor.started().await.is_some());
        let program = open(second, &self.program, self.program_limits, false).await;
        let options = PlayOptions {
            protocol: CheckerProtocol::Icpc,
            program_output_bytes: self.program_limits.output_bytes,
            interactor_output_bytes: self.interactor_limits.output_bytes,
            transcript_bytes: usize::try_from(TRANSCRIPT_BYTES).unwrap(),
        };
        let begun = Instant::now();
        let played = play(program, interactor, &options).await;
        let took = begun.elapsed();
        let collected = played
            .interactor
            .as_ref()
            .ok()
            .and_then(|o| o.collected.as_ref());
        let files = collected.map_or_else(Vec::new, |fd| {
            let reader = archive::Reader::open(fd.try_clone().unwrap()).unwrap();
            reader.files().unwrap()
        });
        let feedback: Vec<_> = files.into_iter().map(|(p, c, _)| (p, c)).collect();
        let words = Words {
            protocol: CheckerProtocol::Icpc,
            limits: &self.interactor_limits,
            out_of_memory: false,
            feedback: &feedback,
            max_points: 1.0,
        };
        Outcomes {
            ruling: verdict(&played, &words),
            played,
            took,
        }
    }
}

impl Outcomes {
    #[track_caller]
    fn says(&self, judgement: Judgement, message: &str) {
        match &self.ruling {
            Ruling::Interactor(Judged {
                judgement: said,
                message: Some(text),
                ..
            }) => {
                assert!(*said == judgement && text.contains(message), "{self:?}");
            }
            _ => panic!("{self:?}"),
        }
    }

    #[track_caller]
    fn program(&self, outcome: Outcome) {
        assert_eq!(self.ruling, Ruling::Program, "{self:?}");
        let stage = self.played.program.as_ref().unwrap();
        assert_eq!(stage.report.outcome, outcome, "{self:?}");
    }
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} after {:?}: {:#?}",
            self.ruling, self.took, self.played
        )
    }
}

async fn a_number_is_guessed(pool: &Pool) {
    let outcomes = case(&search("pass"), GUESSING).run(pool).await;
    outcomes.says(Judgement::Accepted, "found");
    let transcript = &outcomes.played.transcript;
    assert_eq!(transcript.omitted_bytes, 0);
    assert_eq!(transcript.head[0].by, Role::Program);
    assert_eq!(transcript.head[0].bytes, b"500\n");
    assert_eq!(transcript.head[1].bytes, b"less\n");
    assert_eq!(transcript.head.last().unwrap().bytes, b"equal\n");
    let stage = outcomes.played.program.as_ref().unwrap();
    assert!(stage.stdout.kept.starts_with(b"500\n") && stage.stdout.kept.ends_with(b"333\n"));
}

async fn a_number_is_not_guessed(pool: &Pool) {
    // It would go on for ever, but its verdict is known.
    let program = "while True:\n  print(7, flush=True)\n  input()\n";
    let outcomes = case(program, GUESSING).run(pool).await;
    outcomes.says(Judgement::WrongAnswer, "too many guesses");
    assert_eq!(outcomes.played.ended_first(), Some(Role::Interactor));
}

async fn a_crash_comes_before_what_the_interactor_makes_of_it(pool: &Pool) {
    for crash in ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)"] {
        let outcomes = case(&search(&format!("if guess < 500: {crash}")), GUESSING)
            .run(pool)
            .await;
        let signaled = crash.contains("SIGSEGV");
        outcomes.program(if signaled {
            Outcome::Signaled
        } else {
            Outcome::Exited
        });
        assert_eq!(outcomes.played.ended_first(), Some(Role::Program));
    }
}

async fn who_ends_early_is_wrong(pool: &Pool) {
    for program in ["", "print(7)"] {
        let outcomes = case(program, GUESSING).run(pool).await;
        outcomes.says(Judgement::WrongAnswer, "no guess");
        assert!(outcomes.played.happened(Role::Interactor, What::EndOfInput));
    }
}

async fn an_infinite_loop_is_out_of_cpu_time(pool: &Pool) {
    let mut case = case(&search("while guess < 500: pass"), GUESSING);
    case.program_limits.cpu_time_ms = 500;
    case.run(pool).await.program(Outcome::CpuTimeLimit);
}

/// Waits for input, and has a thread of its own that is never quite idle, as a Java VM has.
const TICKING: &str = "
import threading
def tick():
    while True: threading.Event().wait(0.02)
threading.Thread(target=tick, daemon=True).start()
input()
";

async fn a_deadlock_is_seen_within_a_second(pool: &Pool) {
    for program in [
        "input()",
        "print(7, end='')\ninput()",
        "import sys\nsys.stdout.write('7\\n')\nsys.stdin.readline()\n",
        TICKING,
    ] {
        let outcomes = case(program, GUESSING).run(pool).await;
        assert_eq!(
            outcomes.ruling,
            Ruling::Deadlock(Deadlock::Reading),
            "{outcomes:?}"
        );
        // Both had to start first, which takes longer on a busy machine.
        let stopped = outcomes.played.events[0];
        assert_eq!((stopped.role, stopped.what), (Role::Program, What::Stopped));
        assert!(stopped.at < Duration::from_secs(5), "{outcomes:?}");
    }
}

async fn a_program_that_sleeps_is_not_stuck(pool: &Pool) {
    let outcomes = case(&search("if guess == 250: time.sleep(1.5)"), GUESSING)
        .run(pool)
        .await;
    outcomes.says(Judgement::Accepted, "found");
}

async fn who_is_not_read_is_held_back(pool: &Pool) {
    let program = "import sys\nwhile True: sys.stdout.write('7' * (1 << 20))\n";
    let mut case = case(program, "import time\ntime.sleep(50)\n");
    case.program_limits.output_bytes = 1 << 30;
    case.program_limits.wall_time_ms = 1500;
    let outcomes = case.run(pool).await;
    outcomes.says(Judgement::JudgeError, "the program waited for it");
    let stage = outcomes.played.program.as_ref().unwrap();
    // Two pipes and a buffer.
    let said = stage.stdout.total_bytes;
    assert!(said <= 3 * 65536, "{said}");
    let transcript = &outcomes.played.transcript;
    assert_eq!(transcript.omitted_bytes, said - 2 * TRANSCRIPT_BYTES);
}

async fn both_flood_and_neither_reads(pool: &Pool) {
    let flood = "import sys\nwhile True: sys.stdout.write('7' * 65536)\n";
    let outcomes = case(flood, flood).run(pool).await;
    assert_eq!(
        outcomes.ruling,
        Ruling::Deadlock(Deadlock::Writing),
        "{outcomes:?}"
    );
    let stage = outcomes.played.program.as_ref().unwrap();
    assert!(
        stage.stdout.total_bytes <= 3 * 65536,
        "{}",
        stage.stdout.total_bytes
    );
}

async fn too_much_is_an_output_limit(pool: &Pool) {
    let program = "while True: print(7)";
    let interactor = "import sys\nfor line in sys.stdin: pass\nsys.exit(43)\n";
    case(program, interactor)
        .run(pool)
        .await
        .program(Outcome::OutputLimit);
}

async fn an_interactor_that_crashes_is_a_judge_error(pool: &Pool) {
    for interactor in [
        "import sys\ninput()\nsys.exit(1)\n",
        "input()\n[][1]\n",
        "import os\nos.abort()\n",
    ] {
        let outcomes = case(&search("pass"), interactor).run(pool).await;
        outcomes.says(Judgement::JudgeError, "the interactor failed");
    }
}

async fn an_interactor_that_hangs_is_a_judge_error(pool: &Pool) {
    let mut spins = case(&search("pass"), "input()\nwhile True: pass\n");
    spins.interactor_limits.cpu_time_ms = 500;
    spins
        .run(pool)
        .await
        .says(Judgement::JudgeError, "limit 500 ms");
    let mut sleeps = case(&search("pass"), "import time\ninput()\ntime.sleep(50)\n");
    sleeps.program_limits.wall_time_ms = 1500;
    let outcomes = sleeps.run(pool).await;
    outcomes.says(Judgement::JudgeError, "the program waited for it");
    // A program that sleeps has only itself to blame.
    let mut sleeps = case(&search("time.sleep(50)"), GUESSING);
    sleeps.program_limits.wall_time_ms = 1500;
    sleeps.run(pool).await.program(Outcome::WallTimeLimit);
}

async fn what_comes_after_the_interactors_word(pool: &Pool) {
    // It reads on, and breaks down at the end of its input.
    let reads_on = search("pass") + "input()\n";
    case(&reads_on, GUESSING)
        .run(pool)
        .await
        .program(Outcome::Exited);
    // It writes on, and nobody reads that: no harm.
    let writes_on = search("pass") + "for _ in range(1000): print('x' * 100)\n";
    let outcomes = case(&writes_on, GUESSING).run(pool).await;
    outcomes.says(Judgement::Accepted, "found");
    let gives_up = "print(1, flush=True)\ninput()\nprint(2, flush=True)\ninput()\ninput()\n";
    let rejects = "import sys\ninput()\nprint('x', flush=True)\nsys.exit(43)\n";
    case(gives_up, rejects)
        .run(pool)
        .await
        .ruling_is(Judgement::WrongAnswer);
    // It closes its stdout, and rejects a moment later.
    let closes = "import os, sys, time\ninput()\nos.close(1)\ntime.sleep(1)\nsys.exit(43)\n";
    case(gives_up, closes)
        .run(pool)
        .await
        .ruling_is(Judgement::WrongAnswer);
}

async fn both_end_together(pool: &Pool) {
    let program = "print(333, flush=True)";
    for (interactor, judgement) in [
        ("import sys\nsys.exit(42)", Judgement::Accepted),
        ("import sys\nsys.exit(43)", Judgement::WrongAnswer),
        ("import sys\ninput()\nsys.exit(42)", Judgement::Accepted),
    ] {
        for _ in 0..3 {
            case(program, interactor)
                .run(pool)
                .await
                .ruling_is(judgement);
        }
    }
}

async fn letting_go_ends_both(pool: &Pool) {
    let sleeps = case("import time\ntime.sleep(50)", "import time\ntime.sleep(50)");
    let begun = Instant::now();
    assert!(
        tokio::time::timeout(Duration::from_secs(2), sleeps.run(pool))
            .await
            .is_err()
    );
    // Both workers are there again.
    case(&search("pass"), GUESSING)
        .run(pool)
        .await
        .says(Judgement::Accepted, "found");
    assert!(begun.elapsed() < Duration::from_secs(40));
}

impl Outcomes {
    #[track_caller]
    fn ruling_is(&self, judgement: Judgement) {
        let is =
            matches!(&self.ruling, Ruling::Interactor(judged) if judged.judgement == judgement);
        assert!(is, "{self:?}");
    }
}

/// Two workers, for as long as `test` takes.
fn with_workers(test: impl AsyncFn(&Pool)) {
    let launcher = Launcher {
        base: Hierarchies::detect(None).unwrap().create_base().unwrap(),
        identity: Identity::detect(DEFAULT_UID_BASE, 2).unwrap(),
        caps: WorkerCaps {
            memory_bytes: 1 << 30,
            processes: 256,
        },
        rootfs: RootfsSpec::default(),
        policies: Compiled::all(policy::load(None).unwrap()).unwrap(),
        off: Layers::empty(),
        warm: 1,
        cpus: Vec::new(),
        prestarted: 0,
        prepared: None,
    };
    let workers: Vec<_> = (0..2)
        .map(|index| launcher.launch(index).unwrap())
        .collect();
    let (pidfds, channels): (Vec<_>, Vec<_>) = workers
        .into_iter()
        .map(|WorkerProcess { pidfd, channel, .. }| (pidfd, channel))
        .unzip();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let pool = Pool::new(10);
            for (index, channel) in (0..).zip(channels) {
                pool.add_worker(index, channel).unwrap();
            }
            test(&pool).await;
        });
    }));
    // Closes the channels, at which the workers end.
    drop(runtime);
    for pidfd in pidfds {
        let _ = reap_pidfd(pidfd.as_fd());
    }
    drop(launcher);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn main() -> ExitCode {
    if let Some(code) = spawn::worker_main() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    macro_rules! trials {
        ($($name:ident),* $(,)?) => {
            vec![$(Trial::test(stringify!($name), || {
                with_workers($name);
                Ok(())
            })),*]
        };
    }
    let mut arguments = Arguments::from_args();
    // Workers are started by a process of one thread.
    arguments.test_threads = Some(1);
    let trials = trials![
        a_number_is_guessed,
        a_number_is_not_guessed,
        a_crash_comes_before_what_the_interactor_makes_of_it,
        who_ends_early_is_wrong,
        an_infinite_loop_is_out_of_cpu_time,
        a_deadlock_is_seen_within_a_second,
        a_program_that_sleeps_is_not_stuck,
        who_is_not_read_is_held_back,
        both_flood_and_neither_reads,
        too_much_is_an_output_limit,
        an_interactor_that_crashes_is_a_judge_error,
        an_interactor_that_hangs_is_a_judge_error,
        what_comes_after_the_interactors_word,
        both_end_together,
        letting_go_ends_both,
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
