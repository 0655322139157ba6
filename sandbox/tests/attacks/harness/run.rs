//! Runs one attack once and compares what happened with what was expected.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::fixtures::{Fixtures, uuid_like};
use crate::metadata::{Attack, Expectation};

/// Exit code of an attack that got what it wanted.
pub(crate) const SUCCEEDED: i32 = 42;
/// Name of the variable that tells the processes of one run from all others.
const MARK: &str = "BRIG_ATTACK";
/// An ordinary user for `control: native-user`; it need not have a name.
const ORDINARY_USER: u32 = 60_999;
/// Longer than any run may take, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Limits where the attack says nothing: enough for an interpreter to start on an emulated machine.
const AMPLE: [(&str, &str); 2] = [("--cpu-time", "20s"), ("--wall-time", "60s")];

/// One run of an attack.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) place: Place,
    pub(crate) expect: Expectation,
    pub(crate) flags: Vec<String>,
    pub(crate) args: Vec<String>,
    /// Names of files that may come back.
    pub(crate) may_collect: Vec<String>,
    /// Names of files that must come back.
    pub(crate) must_collect: Vec<String>,
}

/// Where it runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Sandbox { off: Vec<String> },
    Native,
    NativeUser,
}

/// What `brig-sandbox run --report` says, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Report {
    stage: Option<Stage>,
}

#[derive(Debug, Deserialize)]
struct Stage {
    outcome: String,
    exit_code: Option<i32>,
    signal: Option<String>,
    violation: Option<Violation>,
}

#[derive(Debug, Deserialize)]
struct Violation {
    syscall: String,
}

/// What happened.
struct Seen {
    result: Expectation,
    collected: Vec<String>,
    /// For the message of a test that fails.
    details: String,
}

/// Runs `case` and compares.
pub(crate) fn check(attack: &Attack, case: &Case) -> Result<(), String> {
    let seen = run(attack, case).map_err(|e| format!("the test itself failed: {e}"))?;
    let Seen {
        result,
        collected,
        details,
    } = &seen;
    if *result != case.expect {
        return Err(format!(
            "expected {:?}, saw {result:?}\n{details}",
            case.expect
        ));
    }
    let unwanted =
        |name: &&String| !case.may_collect.contains(name) && !case.must_collect.contains(name);
    if let Some(name) = collected.iter().find(unwanted) {
        return Err(format!("the file {name:?} was collected\n{details}"));
    }
    if let Some(name) = case.must_collect.iter().find(|n| !collected.contains(n)) {
        return Err(format!("the file {name:?} was not collected\n{details}"));
    }
    Ok(())
}

fn run(attack: &Attack, case: &Case) -> io::Result<Seen> {
    let mut fixtures = Fixtures::default();
    let work = fixtures.directory(0o777)?;
    let mark = uuid_like()?;
    let inherited = if attack.inherit {
        Some(inheritable(&fixtures.secret_file()?)?)
    } else {
        None
    };
    let program = Program::prepare(attack, Path::new(&work), &mut fixtures)?;
    let mut command = match &case.place {
        Place::Sandbox { off } => {
            in_sandbox(attack, case, off, &program, &work, &mark, &mut fixtures)?
        }
        Place::Native | Place::NativeUser => natively(case, &program, &work, &mark),
    };
    for arg in &case.args {
        command.arg(fixtures.expand(arg)?);
    }
    let stdin = if attack.stdin_file {
        File::open(fixtures.secret_file()?)?
    } else {
        File::open("/dev/null")?
    };
    let errors = File::create(format!("{work}/stderr"))?;
    command
        .stdin(stdin)
        .stdout(File::create(format!("{work}/stdout"))?)
        .stderr(errors);
    command.env("BRIG_HOST_SECRET", "of the host's environment");
    let status = wait(command)?;
    drop(inherited);
    let left_over = kill_marked(&mark)?;
    let (mut result, report) = match case.place {
        Place::Sandbox { .. } => from_report(&work),
        _ => (from_status(status), String::new()),
    };
    if left_over {
        result = Expectation::LeftOver;
    }
    let errors = fs::read_to_string(format!("{work}/stderr")).unwrap_or_default();
    let details = format!("{case:?}\n{status}\n{report}\n{errors}");
    Ok(Seen {
        result,
        collected: names_below(Path::new(&format!("{work}/collected"))),
        details,
    })
}

/// The attack as something to execute.
struct Program {
    /// What to copy into the sandbox.
    file: PathBuf,
    /// What comes before it on the command line.
    interpreter: Option<&'static str>,
    setuid_dir: Option<String>,
}

impl Program {
    fn prepare(attack: &Attack, work: &Path, fixtures: &mut Fixtures) -> io::Result<Self> {
        let interpreter = match attack.file.extension().and_then(|e| e.to_str()) {
            Some("py") => Some("/usr/bin/python3"),
            Some("sh") => Some("/bin/bash"),
            _ => None,
        };
        let source = if interpreter.is_none() {
            compile(attack)?
        } else {
            attack.file.clone()
        };
        let file = work.join("attack");
        fs::copy(&source, &file)?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        let mut setuid_dir = None;
        if attack.setuid {
            let dir = fixtures.setuid_directory()?;
            let copy = Path::new(&dir).join("attack");
            fs::copy(&source, &copy)?;
            fs::set_permissions(&copy, Permissions::from_mode(0o4755))?;
            setuid_dir = Some(dir);
        }
        Ok(Self {
            file,
            interpreter,
            setuid_dir,
        })
    }
}

/// Compiles the attack, or takes what an earlier run compiled from the same text.
fn compile(attack: &Attack) -> io::Result<PathBuf> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attacks");
    fs::create_dir_all(&cache)?;
    let group = attack.file.parent().unwrap_or(Path::new("."));
    let common = group.parent().unwrap_or(Path::new(".")).to_owned();
    let mut hasher = DefaultHasher::new();
    fs::read(&attack.file)?.hash(&mut hasher);
    for header in headers(group)?.into_iter().chain(headers(&common)?) {
        fs::read(header)?.hash(&mut hasher);
    }
    let program = cache.join(format!("{:016x}", hasher.finish()));
    if program.exists() {
        return Ok(program);
    }
    let fresh = cache.join(uuid_like()?);
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu17", "-O1", "-Wall", "-Werror", "-static", "-I"])
        .arg(&common);
    gcc.args(&attack.cflags)
        .arg("-o")
        .arg(&fresh)
        .arg(&attack.file);
    if !gcc.status()?.success() {
        return Err(io::Error::other(format!("gcc failed: {gcc:?}")));
    }
    fs::rename(&fresh, &program)?;
    Ok(program)
}

/// The `*.h` in `directory`, in the order of their names.
fn headers(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "h") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn in_sandbox(
    attack: &Attack,
    case: &Case,
    off: &[String],
    program: &Program,
    work: &str,
    mark: &str,
    fixtures: &mut Fixtures,
) -> io::Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brig-sandbox"));
    command
        .args(["run", "--policy", &attack.policy, "--report"])
        .arg(format!("{work}/report"));
    command.arg("--env").arg(format!("{MARK}={mark}"));
    for layer in attack.without.iter().chain(off) {
        command.args(["--without", layer]);
    }
    if let Ok(driver) = std::env::var("BRIG_TEST_CGROUP") {
        command.args(["--cgroup", &driver]);
    }
    for flag in &case.flags {
        command.arg(fixtures.expand(flag)?);
    }
    for (flag, value) in AMPLE {
        if !case.flags.iter().any(|f| f == flag) {
            command.args([flag, value]);
        }
    }
    if let Some(glob) = &attack.collect {
        command
            .args(["--collect", glob, "--output-dir"])
            .arg(format!("{work}/collected"));
    }
    match &program.setuid_dir {
        Some(dir) => command.arg("--mount").arg(format!("{dir}:/mnt")),
        None => command.arg("--file").arg(join(&program.file, ":attack")),
    };
    command.arg("--").args(program.interpreter);
    command.arg(match (&program.setuid_dir, program.interpreter) {
        (Some(_), _) => "/mnt/attack",
        (None, Some(_)) => "attack",
        (None, None) => "./attack",
    });
    Ok(command)
}

fn natively(case: &Case, program: &Program, work: &str, mark: &str) -> Command {
    let file = match &program.setuid_dir {
        Some(dir) => Path::new(dir).join("attack"),
        None => program.file.clone(),
    };
    let mut command = match program.interpreter {
        Some(interpreter) => Command::new(interpreter),
        None => Command::new(&file),
    };
    if program.interpreter.is_some() {
        command.arg(&file);
    }
    if case.place == Place::NativeUser {
        command.uid(ORDINARY_USER).gid(ORDINARY_USER);
    }
    command.current_dir(work).env(MARK, mark);
    command
}

fn join(path: &Path, suffix: &str) -> OsString {
    let mut joined = path.as_os_str().to_owned();
    joined.push(suffix);
    joined
}

/// An open file that survives `execve`, at a number that nothing else uses.
fn inheritable(path: &str) -> io::Result<OwnedFd> {
    let file = File::open(path)?;
    // SAFETY: the descriptor is open, and the call takes no pointers.
    let fd = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 300) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}

/// A child that another test has just forked may still hold the program open for writing, as this
/// process did when it copied it.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..200 {
        match command.spawn() {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            answer => return answer,
        }
    }
    command.spawn()
}

fn wait(mut command: Command) -> io::Result<ExitStatus> {
    let mut child = spawn(&mut command)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("no end within {PATIENCE:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn from_report(work: &str) -> (Expectation, String) {
    let text = fs::read_to_string(format!("{work}/report")).unwrap_or_default();
    let stage = serde_json::from_str::<Report>(&text)
        .ok()
        .and_then(|r| r.stage);
    let result = match stage {
        None => Expectation::Outcome("no report".to_owned()),
        Some(Stage {
            violation: Some(violation),
            ..
        }) => Expectation::Violation(violation.syscall),
        Some(Stage {
            outcome,
            exit_code: Some(code),
            ..
        }) if outcome == "exited" => from_code(code),
        Some(Stage {
            outcome,
            signal: Some(signal),
            ..
        }) if outcome == "signaled" => Expectation::Signal(signal),
        Some(Stage { outcome, .. }) => Expectation::Outcome(outcome),
    };
    (result, text)
}

fn from_status(status: ExitStatus) -> Expectation {
    match (status.code(), status.signal()) {
        (Some(code), _) => from_code(code),
        (None, signal) => Expectation::Outcome(format!("signal {signal:?}")),
    }
}

fn from_code(code: i32) -> Expectation {
    match code {
        0 => Expectation::Denied,
        SUCCEEDED => Expectation::Succeeded,
        other => Expectation::Outcome(format!("exit code {other}")),
    }
}

/// Ends every process whose environment has `mark`; says whether there was one.
fn kill_marked(mark: &str) -> io::Result<bool> {
    let wanted = format!("{MARK}={mark}");
    let mut found = false;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<i32>().ok())
        else {
            continue;
        };
        // A process may end at any moment, and those of others cannot be read.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        if environment
            .split(|b| *b == 0)
            .any(|v| v == wanted.as_bytes())
        {
            found = true;
            // SAFETY: takes no pointers.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    Ok(found)
}

fn names_below(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
