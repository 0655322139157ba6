//! `brig-sandbox run`.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use brig_sandbox::archive;
use brig_sandbox::attach::MAX_FILES;
use brig_sandbox::cgroup::Version;
use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::client::{Client, Execution, Watch};
use brig_sandbox::identity::{DEFAULT_UID_BASE, Identity};
use brig_sandbox::layers::Layers;
use brig_sandbox::limits::Limits;
use brig_sandbox::policy::{self, Compiled, Policy};
use brig_sandbox::prepared;
use brig_sandbox::protocol::{Collect, Job, WindowSize};
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::spawn::Launcher;
use brig_sandbox::sys::memfd;
use clap::{Args, ValueEnum};
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::report::{Report, exit_status};
use super::size;

const EXIT_HELP: &str = "\
Exit status:
  the program's own exit code, if it exited
  128+N   signal N ended it
  120     it used up its CPU time         121     it used up its wall time
  122     it hit its memory limit         123     it wrote too much
  124     it made a forbidden system call
  125     brig-sandbox itself failed; standard error says at which step
  126/127 the program could not be executed / was not found
  130     interrupted
A program may exit with any of these by itself; --report tells them apart.";

/// Run one program in a sandbox of its own.
#[derive(Debug, Args)]
#[command(after_help = EXIT_HELP)]
pub(crate) struct RunArgs {
    /// Policy: strict, default, jvm, compile, or the path of a policy file (see `policies`)
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "default",
        help_heading = "Isolation"
    )]
    policy: String,
    /// Leave out a layer of isolation. For tests and diagnosis, never for untrusted programs
    #[arg(long, value_name = "LAYER", value_parser = spared_layer, help_heading = "Isolation")]
    without: Vec<Layers>,
    /// Show a host file or directory read-only inside
    #[arg(long, value_name = "HOST[:INSIDE]", help_heading = "Isolation")]
    mount: Vec<String>,
    /// Show a directory of prepared files read-only at /brig/prepared
    #[arg(long, value_name = "DIR", help_heading = "Isolation")]
    prepared: Option<PathBuf>,
    /// Which cgroup interface to use
    #[arg(long, value_enum, default_value = "auto", help_heading = "Isolation")]
    cgroup: CgroupArg,
    /// Started as root: the program's host user id, less one. Nothing else must use it
    #[arg(long, value_name = "ID", default_value_t = DEFAULT_UID_BASE, help_heading = "Isolation")]
    uid_base: u32,
    #[command(flatten)]
    limits: LimitArgs,
    /// Set an environment variable; PATH, HOME, TMPDIR and LANG are set by default
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Environment and files")]
    env: Vec<String>,
    /// Copy a file into /box, keeping its mode
    #[arg(
        long,
        value_name = "SRC[:DEST]",
        help_heading = "Environment and files"
    )]
    file: Vec<String>,
    /// Copy a large file into /box, read-only, by the sandbox itself; at most 3
    #[arg(
        long,
        value_name = "SRC[:DEST]",
        help_heading = "Environment and files"
    )]
    attach: Vec<String>,
    /// Give the program a terminal of this size, with brig-sandbox's own stdin as the keyboard
    #[arg(
        long,
        value_name = "ROWSxCOLS",
        value_parser = size::window,
        conflicts_with_all = ["stdin", "stderr"],
        help_heading = "Environment and files"
    )]
    pty: Option<WindowSize>,
    /// Read the program's stdin from a file [default: brig-sandbox's own stdin]
    #[arg(long, value_name = "FILE", help_heading = "Environment and files")]
    stdin: Option<PathBuf>,
    /// Write its stdout to a file [default: brig-sandbox's own stdout]
    #[arg(long, value_name = "FILE", help_heading = "Environment and files")]
    stdout: Option<PathBuf>,
    /// Write its stderr to a file [default: brig-sandbox's own stderr]
    #[arg(long, value_name = "FILE", help_heading = "Environment and files")]
    stderr: Option<PathBuf>,
    /// Bring back files of /box that match, once the program has ended; `**` crosses directories
    #[arg(
        long,
        value_name = "GLOB",
        requires = "output_dir",
        help_heading = "Environment and files"
    )]
    collect: Vec<String>,
    /// Where files brought back go; nothing that exists there is followed or overwritten
    #[arg(long, value_name = "DIR", help_heading = "Environment and files")]
    output_dir: Option<PathBuf>,
    /// Write a JSON report; `-` is stdout, and the program's stdout then goes to stderr
    #[arg(long, value_name = "FILE|-", help_heading = "Environment and files")]
    report: Option<PathBuf>,
    /// Start the program before its files are there, and hold it where it first looks for this one
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["pty", "attach"],
        help_heading = "Environment and files"
    )]
    prestart: Option<String>,
    #[command(flatten)]
    policies: PolicyDir,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM [ARG]..."
    )]
    command: Vec<String>,
}

/// Where further policies are.
#[derive(Debug, Args)]
pub(crate) struct PolicyDir {
    /// A directory with further policies (*.toml)
    #[arg(long = "policy-dir", value_name = "DIR", help_heading = "Isolation")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CgroupArg {
    Auto,
    V1,
    V2,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (K, M, G are powers of 1024; times take ms or s)")]
struct LimitArgs {
    /// CPU time of the whole process tree
    #[arg(long, value_name = "TIME", value_parser = size::milliseconds, default_value = "2s")]
    cpu_time: u64,
    /// Time on the clock
    #[arg(long, value_name = "TIME", value_parser = size::milliseconds, default_value = "6s")]
    wall_time: u64,
    /// Memory of the whole process tree, files in /box and /tmp included
    #[arg(long, value_name = "SIZE", value_parser = size::bytes, default_value = "256M")]
    memory: u64,
    /// Stack of each process
    #[arg(long, value_name = "SIZE", value_parser = size::bytes, default_value = "64M")]
    stack: u64,
    /// Processes and threads at once
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.processes)]
    processes: u32,
    /// Open files of each process
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.open_files,
          value_parser = clap::value_parser!(u32).range(4..=i64::from(Limits::MAX_OPEN_FILES)))]
    open_files: u32,
    /// Size of each file written
    #[arg(long, value_name = "SIZE", value_parser = size::bytes, default_value = "16M")]
    file_size: u64,
    /// Size of /box and /tmp together
    #[arg(long, value_name = "SIZE", value_parser = size::bytes, default_value = "64M")]
    disk: u64,
    /// Files and directories in /box and /tmp together
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.disk_inodes)]
    inodes: u64,
    /// Bytes written to each of stdout and stderr
    #[arg(long, value_name = "SIZE", value_parser = size::bytes, default_value = "1M")]
    output: u64,
    /// CPUs kept busy at once
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.cpus)]
    cpus: f64,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        Limits {
            cpu_time_ms: self.cpu_time,
            wall_time_ms: self.wall_time,
            memory_bytes: self.memory,
            stack_bytes: self.stack,
            processes: self.processes,
            open_files: self.open_files,
            file_size_bytes: self.file_size,
            disk_bytes: self.disk,
            disk_inodes: self.inodes,
            output_bytes: self.output,
            cpus: self.cpus,
        }
    }
}

fn spared_layer(name: &str) -> Result<Layers, String> {
    let layer = Layers::by_name(name)?;
    if layer == Layers::NO_NEW_PRIVS {
        return Err("the worker itself has no_new_privs, and its children inherit it".to_owned());
    }
    Ok(layer)
}

/// What a program's environment starts from.
const DEFAULT_ENV: [(&str, &str); 4] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/box"),
    ("TMPDIR", "/tmp"),
    ("LANG", "C.UTF-8"),
];

/// Runs it; the answer is the exit status.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<u8> {
    let interrupts = catch_interrupts()?;
    let policy = find_policy(&args)?;
    let off = args.without.iter().fold(Layers::empty(), |all, l| all | *l);
    let archive = pack_files(&args.file)?;
    let attached = open_attached(&args.attach)?;
    let keyboard = io::stdin();
    let stdin = match args.pty {
        Some(_) => File::open("/dev/null")?.into(),
        None => open_stdin(args.stdin.as_deref())?,
    };
    let launcher = launcher(&args, policy.clone(), off)?;
    let worker = launcher.launch(0).context("starting the worker")?;
    let mut client = Client::new(worker.channel);
    let job = Job {
        files: attached.iter().map(|(path, _)| path.clone()).collect(),
        ..job(&args, policy.name)
    };
    let limits = job.limits;
    let mut outputs = Outputs::open(&args)?;
    let watch = Watch {
        stdout: &mut outputs.stdout,
        stderr: &mut outputs.stderr,
        cancel: Some(interrupts.as_fd()),
        keyboard: args.pty.map(|_| keyboard.as_fd()),
    };
    let mut fds = vec![archive.as_fd()];
    fds.extend(attached.iter().map(|(_, file)| file.as_fd()));
    fds.push(stdin.as_fd());
    if args.prestart.is_some() && !client.prestart(&job, stdin.as_fd())? {
        bail!("the program cannot be held at its script");
    }
    let keys = args.pty.map(|_| RawKeys::begin()).transpose()?;
    let execution = client.execute(job, &fds, watch)?;
    drop(keys);
    drop(client);
    // The worker cleans up and exits when its channel closes; then its group goes.
    let _ = brig_sandbox::sys::process::reap_pidfd(worker.pidfd.as_fd());
    drop(launcher);
    bring_back(&args, &execution)?;
    conclude(&args, &execution, &limits, off)
}

/// Prints the policies.
pub(crate) fn list_policies(dir: &PolicyDir) -> anyhow::Result<u8> {
    for policy in policy::load(dir.dir.as_deref())?.values() {
        println!("{:<10} {}", policy.name, policy.description);
    }
    Ok(0)
}

/// Ctrl-C must still clean up, so it is a message, not an end.
fn catch_interrupts() -> anyhow::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    mask.add(Signal::SIGHUP);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?)
}

fn find_policy(args: &RunArgs) -> anyhow::Result<Policy> {
    let is_file = args.policy.contains('/')
        || Path::new(&args.policy)
            .extension()
            .is_some_and(|e| e == "toml");
    if is_file {
        let text = fs::read_to_string(&args.policy).with_context(|| args.policy.clone())?;
        return Ok(policy::parse(&args.policy, &text)?);
    }
    let directory = args.policies.dir.as_deref();
    if let Some(policy) = policy::find(directory, &args.policy)? {
        return Ok(policy);
    }
    let names: Vec<_> = policy::load(directory)?.into_keys().collect();
    bail!(
        "there is no policy {:?}; there are {}",
        args.policy,
        names.join(", ")
    );
}

fn pack_files(files: &[String]) -> anyhow::Result<OwnedFd> {
    let mut packed = Vec::new();
    for spec in files {
        let (source, dest) = source_and_dest("--file", spec)?;
        let content = fs::read(source).with_context(|| format!("--file {source}"))?;
        let executable = fs::metadata(source)?.permissions().mode() & 0o100 != 0;
        packed.push((dest, content, executable));
    }
    Ok(archive::pack(packed.iter().map(|(path, content, x)| {
        (path.as_str(), content.as_slice(), *x)
    }))?)
}

/// While it lives, keys go to the program's terminal as they are typed.
struct RawKeys(Option<Termios>);

impl RawKeys {
    fn begin() -> anyhow::Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSANOW, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawKeys {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs no setting.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// The two parts of `SRC[:DEST]`; DEST is the source's name unless given.
fn source_and_dest<'a>(option: &str, spec: &'a str) -> anyhow::Result<(&'a str, String)> {
    let (source, dest) = if let Some((source, dest)) = spec.split_once(':') {
        (source, dest.to_owned())
    } else {
        let name = Path::new(spec)
            .file_name()
            .with_context(|| format!("{spec:?} names no file"))?;
        (spec, name.to_string_lossy().into_owned())
    };
    archive::check_path(&dest)
        .map_err(|why| anyhow::anyhow!("{option} {spec}: {dest:?}: {why}"))?;
    Ok((source, dest))
}

/// Path inside and open descriptor of each.
fn open_attached(specs: &[String]) -> anyhow::Result<Vec<(String, File)>> {
    if specs.len() > MAX_FILES {
        bail!("--attach: at most {MAX_FILES} files");
    }
    let open = |spec: &String| {
        let (source, dest) = source_and_dest("--attach", spec)?;
        // Opening a FIFO must not block; what is no regular file is refused by the sandbox.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(source)
            .with_context(|| format!("--attach {source}"))?;
        Ok((dest, file))
    };
    specs.iter().map(open).collect()
}

/// A regular file is passed as a sealed copy: the program can map, seek and reopen it, and neither
/// its path nor the caller's descriptor gets into the sandbox.
fn open_stdin(path: Option<&Path>) -> anyhow::Result<OwnedFd> {
    let mut file: File = match path {
        Some(path) => File::open(path).with_context(|| format!("--stdin {}", path.display()))?,
        None => io::stdin().as_fd().try_clone_to_owned()?.into(),
    };
    if !file.metadata()?.is_file() {
        return Ok(file.into());
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content).context("reading stdin")?;
    Ok(memfd::read_only(c"stdin", &content)?)
}

fn launcher(args: &RunArgs, policy: Policy, off: Layers) -> anyhow::Result<Launcher> {
    let want = match args.cgroup {
        CgroupArg::Auto => None,
        CgroupArg::V1 => Some(Version::V1),
        CgroupArg::V2 => Some(Version::V2),
    };
    let limits = args.limits.limits();
    let binds = args
        .mount
        .iter()
        .map(|spec| match spec.split_once(':') {
            Some((host, inside)) => (host, inside),
            None => (spec.as_str(), spec.as_str()),
        })
        .map(|(host, inside)| Ok((std::path::absolute(host)?, PathBuf::from(inside))))
        .collect::<io::Result<_>>()?;
    let prepared = args.prepared.as_deref().map(open_prepared).transpose()?;
    let hierarchies = Hierarchies::detect(want)?;
    let missing = hierarchies.missing();
    if !missing.is_empty() {
        bail!(
            "no cgroup controller {}; see `brig-sandbox doctor`",
            missing.join(", ")
        );
    }
    Ok(Launcher {
        base: hierarchies.create_base()?,
        identity: Identity::detect(args.uid_base, 1)?,
        caps: WorkerCaps {
            memory_bytes: limits.memory_bytes.saturating_add(256 << 20),
            processes: u64::from(limits.processes) + 64,
        },
        rootfs: RootfsSpec {
            mounts: Vec::new(),
            binds,
            prepared: false,
        },
        policies: vec![Compiled::new(policy)?],
        off,
        warm: 0,
        cpus: Vec::new(),
        prestarted: u32::from(args.prestart.is_some()),
        prepared,
    })
}

fn open_prepared(path: &Path) -> anyhow::Result<prepared::Directory> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(path, flags, Mode::empty()).with_context(|| path.display().to_string())?;
    Ok(prepared::Directory::new(directory)?)
}

fn job(args: &RunArgs, policy: String) -> Job {
    let set = |key: &str| {
        args.env
            .iter()
            .any(|e| e.split_once('=').is_some_and(|(k, _)| k == key))
    };
    let defaults = DEFAULT_ENV
        .iter()
        .filter(|(k, _)| !set(k))
        .map(|(k, v)| format!("{k}={v}"));
    Job {
        id: 1,
        policy,
        argv: args.command.clone(),
        env: defaults.chain(args.env.iter().cloned()).collect(),
        limits: args.limits.limits(),
        archives: vec![None],
        stdin_attached: true,
        collect: (!args.collect.is_empty()).then(|| Collect {
            globs: args.collect.clone(),
            max_bytes: args.limits.disk,
            max_files: 10_000,
            only_on_success: false,
        }),
        pty: args.pty,
        script: args.prestart.clone(),
        ..Job::default()
    }
}

struct Outputs {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
}

impl Outputs {
    fn open(args: &RunArgs) -> anyhow::Result<Self> {
        let create = |path: &Path| -> anyhow::Result<Box<dyn Write>> {
            Ok(Box::new(
                File::create(path).with_context(|| path.display().to_string())?,
            ))
        };
        let report_on_stdout = args.report.as_deref() == Some(Path::new("-"));
        Ok(Self {
            stdout: match &args.stdout {
                Some(path) => create(path)?,
                None if report_on_stdout => Box::new(io::stderr()),
                None => Box::new(io::stdout()),
            },
            stderr: match &args.stderr {
                Some(path) => create(path)?,
                None => Box::new(io::stderr()),
            },
        })
    }
}

/// Writes files that came back below the output directory. Their paths were checked, but what lies
/// there already may hold links, so nothing existing is opened.
fn bring_back(args: &RunArgs, execution: &Execution) -> anyhow::Result<()> {
    let (Some(dir), Some(collected)) = (&args.output_dir, &execution.collected) else {
        return Ok(());
    };
    for (path, content, executable) in archive::Reader::open(collected.try_clone()?)?.files()? {
        let target = dir.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let _ = fs::remove_file(&target);
        let mut file = File::create_new(&target).with_context(|| target.display().to_string())?;
        file.write_all(&content)?;
        file.set_permissions(fs::Permissions::from_mode(if executable {
            0o755
        } else {
            0o644
        }))?;
    }
    Ok(())
}

fn conclude(
    args: &RunArgs,
    execution: &Execution,
    limits: &Limits,
    off: Layers,
) -> anyhow::Result<u8> {
    let bytes = [execution.stdout_bytes, execution.stderr_bytes];
    if let Some(path) = &args.report {
        let json = serde_json::to_string(&Report::new(&execution.result, limits, bytes, off))?;
        if path == Path::new("-") {
            println!("{json}");
        } else {
            fs::write(path, json + "\n").with_context(|| path.display().to_string())?;
        }
    }
    match &execution.result {
        Ok(report) => {
            if let Some(why) = &report.collect_error {
                bail!("{why}");
            }
            Ok(exit_status(report))
        }
        Err(fault) => bail!("{fault}"),
    }
}
