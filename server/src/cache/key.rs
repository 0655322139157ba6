//! What a compiled program is found by: a hash of everything that its compile stage saw.
//!
//! Two compiles share an entry only if they belong to the same owner and agree in every input: the
//! sources with their paths and permissions, the command, the environment, the policy as it is
//! enforced, all limits, the version that the tools report and the state of the installed tools.
//! Limits are all in: which of them a compiler or a build script looks at is its own affair.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use brig_sandbox::limits::Limits;
use brig_sandbox::policy::Policy;
use brig_sandbox::protocol::VERSION as PROTOCOL_VERSION;
use sha2::{Digest, Sha256};

use crate::language::{SourceFile, StagePlan};
use uuid::Uuid;

/// Changes whenever what goes into a key, or what is stored under it, changes its meaning.
const FORMAT: u64 = 1;
/// Rewritten by ldconfig(8) whenever a package brings or removes a library.
const LIBRARIES: &str = "/etc/ld.so.cache";

/// Rewritten whenever a package comes, changes or goes: by dpkg, rpm and apk.
const PACKAGES: [&str; 3] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
];

/// Names an entry. Equal keys mean: the same compile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

/// Stands for a policy with all its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyDigest([u8; 32]);

impl PolicyDigest {
    /// The digest of `policy`.
    pub fn of(policy: &Policy) -> Self {
        // Debug writes every field.
        Self(Sha256::digest(format!("{policy:?}")).into())
    }
}

/// What a compile stage sees.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// Whose compile it is. Owners share nothing: that an entry exists would tell one of them what
    /// another one compiles.
    pub owner: Option<Uuid>,
    /// Id of the language.
    pub language: &'a str,
    /// The version that its tools report, if it is known.
    pub version: Option<&'a str>,
    /// The compile stage: command, environment, limits, patterns of what is kept.
    pub stage: &'a StagePlan,
    /// The policy that the stage names.
    pub policy: &'a PolicyDigest,
    /// The files it starts from, in any order.
    pub files: &'a [SourceFile],
    /// Whether these files have the execute permission.
    pub executable: bool,
}

impl CacheKey {
    /// The key of a compile. Looks at the installed tools' metadata; hashes all files, which for
    /// megabytes of sources is work for a thread that may block.
    pub fn new(parts: &KeyParts<'_>) -> Self {
        let stage = parts.stage;
        let mut hash = Fields(Sha256::new());
        hash.number(FORMAT);
        hash.number(PROTOCOL_VERSION.into());
        hash.text(env!("CARGO_PKG_VERSION"));
        hash.bytes(parts.owner.as_ref().map_or(&[], |id| id.as_bytes()));
        hash.text(parts.language);
        hash.text(parts.version.unwrap_or_default());
        hash.tool(tool(stage).as_deref());
        hash.tool(Some(Path::new(LIBRARIES)));
        hash.texts(&stage.argv);
        hash.texts(&stage.env);
        hash.limits(&stage.limits);
        hash.texts(stage.collect.as_deref().unwrap_or_default());
        hash.text(&stage.policy);
        hash.bytes(&parts.policy.0);
        hash.number(parts.executable.into());
        hash.files(parts.files);
        Self(hash.0.finalize().into())
    }

    /// The key of a file that a language's tools make for compiles to start from. It stands for everything that
    /// is installed, as the headers of a library may change when no tool does.
    pub fn of_prepared(parts: &KeyParts<'_>) -> Self {
        let mut hash = Fields(Sha256::new());
        hash.text("prepared");
        hash.bytes(&Self::new(parts).0);
        for packages in PACKAGES {
            hash.tool(Some(Path::new(packages)));
        }
        Self(hash.0.finalize().into())
    }

    /// The key whose [`Display`](fmt::Display) form is `name`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if name.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
            let digit = |d: u8| {
                char::from(d)
                    .to_digit(16)
                    .filter(|_| !d.is_ascii_uppercase())
            };
            *byte = u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn test(byte: u8) -> Self {
        Self([byte; 32])
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

/// Hashes fields so that no two lists of fields look alike: each has its length in front.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    fn limits(&mut self, limits: &Limits) {
        // Named one by one, so that a new limit cannot be forgotten here.
        let Limits {
            cpu_time_ms,
            wall_time_ms,
            memory_bytes,
            stack_bytes,
            processes,
            open_files,
            file_size_bytes,
            disk_bytes,
            disk_inodes,
            output_bytes,
            cpus,
        } = *limits;
        for limit in [
            cpu_time_ms,
            wall_time_ms,
            memory_bytes,
            stack_bytes,
            processes.into(),
            open_files.into(),
            file_size_bytes,
            disk_bytes,
            disk_inodes,
            output_bytes,
            cpus.to_bits(),
        ] {
            self.number(limit);
        }
    }

    fn files(&mut self, files: &[SourceFile]) {
        let mut files: Vec<&SourceFile> = files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        self.number(files.len() as u64);
        for file in files {
            self.text(&file.path);
            self.bytes(&file.content);
        }
    }

    /// What tells one installation of a tool from the next: where it is, its size, its date.
    fn tool(&mut self, path: Option<&Path>) {
        let found = path.and_then(|path| {
            let path = fs::canonicalize(path).ok()?;
            let metadata = fs::metadata(&path).ok()?;
            Some((path, metadata))
        });
        let Some((path, metadata)) = found else {
            return self.number(0);
        };
        self.number(1);
        self.bytes(path.as_os_str().as_encoded_bytes());
        self.metadata(&metadata);
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.number(metadata.len());
        self.number(metadata.mtime().cast_unsigned());
        self.number(metadata.mtime_nsec().cast_unsigned());
    }
}

/// The program that the stage starts, as the host has it.
fn tool(stage: &StagePlan) -> Option<PathBuf> {
    let name = Path::new(stage.argv.first()?);
    if name.is_absolute() {
        return Some(name.to_owned());
    }
    let path = stage
        .env
        .iter()
        .find_map(|pair| pair.strip_prefix("PATH="))?;
    let candidates = path
        .split(':')
        .map(|directory| Path::new(directory).join(name));
    candidates.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn stage() -> StagePlan {
        StagePlan {
            policy: "compile".to_owned(),
            argv: vec!["/usr/bin/cc".to_owned(), "a.c".to_owned()],
            env: vec!["PATH=/usr/bin".to_owned()],
            limits: Limits::DEFAULT,
            collect: Some(vec!["main".to_owned()]),
            script: None,
            start: None,
        }
    }

    fn policy() -> Policy {
        brig_sandbox::policy::load(None).unwrap()["compile"].clone()
    }

    fn file(path: &str, content: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
        }
    }

    #[test]
    fn everything_the_compile_sees_is_in_the_key() {
        let (stage, policy) = (stage(), PolicyDigest::of(&policy()));
        let files = [file("a.c", "x"), file("b.h", "y")];
        let base = KeyParts {
            owner: None,
            language: "c",
            version: Some("gcc 12"),
            stage: &stage,
            policy: &policy,
            files: &files,
            executable: false,
        };
        let changed_stage = |change: &dyn Fn(&mut StagePlan)| {
            let mut stage = stage.clone();
            change(&mut stage);
            CacheKey::new(&KeyParts {
                stage: &stage,
                ..base
            })
        };
        let with_files = |files: &[SourceFile]| CacheKey::new(&KeyParts { files, ..base });
        let mut other_policy = self::policy();
        other_policy.seccomp.allow.pop();
        let other_policy = PolicyDigest::of(&other_policy);
        let owner = Some(Uuid::now_v7());
        let keys = [
            CacheKey::new(&base),
            CacheKey::new(&KeyParts { owner, ..base }),
            CacheKey::new(&KeyParts {
                language: "cpp",
                ..base
            }),
            CacheKey::new(&KeyParts {
                version: Some("gcc 13"),
                ..base
            }),
            CacheKey::new(&KeyParts {
                version: None,
                ..base
            }),
            CacheKey::new(&KeyParts {
                policy: &other_policy,
                ..base
            }),
            CacheKey::new(&KeyParts {
                executable: true,
                ..base
            }),
            changed_stage(&|s| s.argv[0] = "/usr/bin/python3".to_owned()),
            changed_stage(&|s| s.argv.push("-O2".to_owned())),
            changed_stage(&|s| s.argv[1] = "a.ca.c".to_owned()),
            changed_stage(&|s| s.env.push("A=1".to_owned())),
            changed_stage(&|s| s.limits.cpus = 1.5),
            changed_stage(&|s| s.limits.memory_bytes += 1),
            changed_stage(&|s| s.collect = Some(vec!["*".to_owned()])),
            changed_stage(&|s| s.policy = "default".to_owned()),
            with_files(&files[..1]),
            with_files(&[file("a.c", "x"), file("b.h", "z")]),
            with_files(&[file("a.c", "x"), file("b.hpp", "y")]),
            with_files(&[file("a.cx", ""), file("b.h", "y")]),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        let reversed = [files[1].clone(), files[0].clone()];
        assert_eq!(with_files(&reversed), keys[0]);
    }

    #[test]
    fn a_tool_that_was_replaced_is_another_tool() {
        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("cc");
        fs::write(&tool, "1").unwrap();
        let mut stage = stage();
        stage.argv[0] = "cc".to_owned();
        stage.env = vec![format!("PATH=/nonexistent:{}", directory.path().display())];
        let policy = PolicyDigest::of(&policy());
        let key = || {
            CacheKey::new(&KeyParts {
                owner: None,
                language: "c",
                version: None,
                stage: &stage,
                policy: &policy,
                files: &[],
                executable: false,
            })
        };
        let before = key();
        assert_eq!(before, key());
        fs::write(&tool, "22").unwrap();
        assert_ne!(before, key());
    }

    #[test]
    fn a_key_is_its_name_and_back() {
        let key = CacheKey::test(0xa7);
        assert_eq!(key.to_string(), "a7".repeat(32));
        assert_eq!(CacheKey::from_name(&key.to_string()), Some(key));
        for wrong in [
            "",
            "a7",
            &"A7".repeat(32),
            &"g7".repeat(32),
            &"é".repeat(32),
        ] {
            assert_eq!(CacheKey::from_name(wrong), None, "{wrong}");
        }
    }
}
