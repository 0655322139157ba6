//! From the system call part of a policy to BPF.
//!
//! A forbidden call is answered with `SECCOMP_RET_USER_NOTIF`: the thread blocks, the sandbox's init
//! reads which call it was, and ends the program. Should init be gone, the call fails with ENOSYS
//! (seccomp_unotify(2)), so nothing forbidden ever goes through.
//!
//! Calls through another ABI (32-bit `int 0x80`, x32) are forbidden as a whole, by the filter's
//! bad-architecture action: no rule written for x86-64 numbers can be reached through them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::RawFd;

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};

use super::shorten::shorten;
use super::{Action, Compare, Condition, Policy, errno_by_name};
use crate::limits::Limits;
use crate::sys::memfd;
use crate::sys::seccomp::{Program, StoppedCall};

/// The descriptor on which a program's process sends its listener to init, after the filter is on.
/// Programs cannot own descriptors from [`Limits::MAX_OPEN_FILES`] on, so the rule that lets
/// `sendmsg` through on it is of no use to them.
pub const LISTENER_SOCKET_FD: RawFd = Limits::MAX_OPEN_FILES.cast_signed() + 1;
/// The descriptor of the program to execute, likewise.
pub const EXECUTABLE_FD: RawFd = Limits::MAX_OPEN_FILES.cast_signed() + 2;

/// Why a policy cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A rule is wrong.
    #[error("{0}")]
    Rule(String),
    /// libseccomp refuses.
    #[error("libseccomp: {0}")]
    Library(#[from] libseccomp::error::SeccompError),
    /// The program cannot be taken over from libseccomp.
    #[error("reading the compiled filter: {0}")]
    Export(#[from] std::io::Error),
}

/// Compiles the system call part of `policy`.
pub fn compile(policy: &Policy) -> Result<Program, CompileError> {
    let program = compile_at_length(policy)?;
    let short = shorten(program.instructions()).and_then(Program::of);
    Ok(short.unwrap_or(program))
}

/// As libseccomp does it.
pub(super) fn compile_at_length(policy: &Policy) -> Result<Program, CompileError> {
    let seccomp = &policy.seccomp;
    let default = action_of(&seccomp.default_action);
    let mut filter = ScmpFilterContext::new(default)?;
    filter.set_act_badarch(ScmpAction::Notify)?;
    // A binary tree instead of a list: about 9 comparisons a call instead of up to 300.
    filter.set_ctl_optimize(2)?;
    let mut builder = Builder { filter, default };
    for rule in &seccomp.allow {
        builder.add(ScmpAction::Allow, &rule.syscalls, &rule.when, &rule.reason)?;
    }
    for rule in &seccomp.errno {
        let errno = errno_by_name(&rule.errno).map_err(CompileError::Rule)?;
        builder.add(
            ScmpAction::Errno(errno),
            &rule.syscalls,
            &rule.when,
            &rule.reason,
        )?;
    }
    for rule in &seccomp.violation {
        builder.add(ScmpAction::Notify, &rule.syscalls, &rule.when, &rule.reason)?;
    }
    builder.add_own_last_steps(policy)?;
    export(&builder.filter)
}

struct Builder {
    filter: ScmpFilterContext,
    default: ScmpAction,
}

impl Builder {
    fn add(
        &mut self,
        action: ScmpAction,
        names: &[String],
        when: &[Condition],
        reason: &str,
    ) -> Result<(), CompileError> {
        if reason.trim().is_empty() {
            return Err(CompileError::Rule(format!(
                "the rule for {names:?} gives no reason"
            )));
        }
        // libseccomp refuses rules that say what the default says.
        if action == self.default {
            return names.iter().try_for_each(|name| lookup(name).map(|_| ()));
        }
        let conditions = when.iter().map(comparison).collect::<Result<Vec<_>, _>>()?;
        for name in names {
            let syscall = lookup(name)?;
            if conditions.is_empty() {
                self.filter.add_rule_exact(action, syscall)?;
            } else {
                self.filter
                    .add_rule_conditional_exact(action, syscall, &conditions)?;
            }
        }
        Ok(())
    }

    /// Between loading the filter and running the program, its process must still send the
    /// listener away, read its clocks, and execute the program.
    fn add_own_last_steps(&mut self, policy: &Policy) -> Result<(), CompileError> {
        let reason = "the engine's last steps before the program runs";
        let on_fd = |fd: RawFd| {
            vec![Condition {
                arg: 0,
                op: Compare::Eq,
                value: fd.into(),
                mask: None,
            }]
        };
        let steps = [
            ("sendmsg", on_fd(LISTENER_SOCKET_FD)),
            ("fcntl", on_fd(LISTENER_SOCKET_FD)),
            ("execveat", on_fd(EXECUTABLE_FD)),
            ("clock_gettime", Vec::new()),
            ("getrusage", Vec::new()),
        ];
        for (name, when) in steps {
            if !policy.allows(name) {
                self.add(ScmpAction::Allow, &[name.to_owned()], &when, reason)?;
            }
        }
        Ok(())
    }
}

fn action_of(action: &Action) -> ScmpAction {
    match action {
        Action::Violation => ScmpAction::Notify,
        Action::Errno(number) => ScmpAction::Errno(*number),
    }
}

fn lookup(name: &str) -> Result<ScmpSyscall, CompileError> {
    ScmpSyscall::from_name(name)
        .ok()
        .filter(|s| s.as_raw_syscall() >= 0)
        .ok_or_else(|| {
            CompileError::Rule(format!(
                "there is no system call {name:?} on this architecture"
            ))
        })
}

fn comparison(condition: &Condition) -> Result<ScmpArgCompare, CompileError> {
    let Condition {
        arg,
        op,
        value,
        mask,
    } = condition;
    if *arg > 5 {
        return Err(CompileError::Rule(format!(
            "system calls have arguments 0 to 5, not {arg}"
        )));
    }
    let op = match (op, mask) {
        (Compare::MaskedEq, Some(mask)) => ScmpCompareOp::MaskedEqual(mask.cast_unsigned()),
        (Compare::MaskedEq, None) => {
            return Err(CompileError::Rule("masked_eq needs a mask".to_owned()));
        }
        (_, Some(_)) => return Err(CompileError::Rule("only masked_eq takes a mask".to_owned())),
        (Compare::Eq, None) => ScmpCompareOp::Equal,
        (Compare::Ne, None) => ScmpCompareOp::NotEqual,
        (Compare::Lt, None) => ScmpCompareOp::Less,
        (Compare::Le, None) => ScmpCompareOp::LessOrEqual,
        (Compare::Gt, None) => ScmpCompareOp::Greater,
        (Compare::Ge, None) => ScmpCompareOp::GreaterEqual,
    };
    Ok(ScmpArgCompare::new(*arg, op, value.cast_unsigned()))
}

fn export(filter: &ScmpFilterContext) -> Result<Program, CompileError> {
    let fd = memfd::create(c"bpf")?;
    filter.export_bpf(&fd)?;
    let mut file = File::from(fd);
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Program::from_bytes(&bytes).ok_or_else(|| {
        CompileError::Rule(format!("the filter's {} bytes are no program", bytes.len()))
    })
}

/// The name of a stopped call, as [`crate::report::Violation`] gives it.
pub fn call_name(call: &StoppedCall) -> String {
    /// `AUDIT_ARCH_I386` (linux/audit.h).
    const I386: u32 = 0x4000_0003;
    /// Set in the number of a call through the x32 ABI (`__X32_SYSCALL_BIT`, asm/unistd.h).
    const X32_BIT: i32 = 0x4000_0000;
    let (prefix, arch, number) = match call {
        StoppedCall { arch: I386, number } => ("i386:", ScmpArch::X86, *number),
        // libseccomp counts x32 numbers with the bit.
        StoppedCall { number, .. } if number & X32_BIT != 0 => ("x32:", ScmpArch::X32, *number),
        StoppedCall { number, .. } => ("", ScmpArch::Native, *number),
    };
    match ScmpSyscall::from_raw_syscall(number).get_name_by_arch(arch) {
        Ok(name) => format!("{prefix}{name}"),
        Err(_) => format!("{prefix}#{number}"),
    }
}
