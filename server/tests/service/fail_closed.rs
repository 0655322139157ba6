//! A host that cannot enforce a layer is refused, with the layer's name and what to do.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use super::harness::{BRIG, data_dir};

fn brig(args: &[&str]) -> Output {
    let data = data_dir();
    let mut serve = Command::new(BRIG);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
    serve.arg(data.path().join("data"));
    serve.args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn layers_that_cannot_be_spared_cannot_be_waived() {
    for (layer, word) in [
        ("nonsense", "the layers are"),
        ("rootfs", "cannot do without"),
    ] {
        let output = brig(&["--allow-degraded", layer]);
        assert!(!output.status.success());
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn ids_that_are_somebodys_are_refused() {
    for (base, word) in [("0", "no such ids"), ("65532", "nobody's")] {
        let output = brig(&["--workers", "2", "--uid-base", base]);
        assert!(!output.status.success());
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

/// A cgroup tree that looks right but enforces nothing: files can be made and written there, and
/// only a probe finds out.
#[test]
fn a_cgroup_tree_without_effect_is_found_out() {
    let data = data_dir();
    let data = data.path().display();
    let script = format!(
        "mount -t tmpfs none /sys/fs/cgroup && \
         cut -d: -f2,3 /proc/self/cgroup | while IFS=: read name path; do \
           for c in $(echo $name | tr , ' '); do mkdir -p /sys/fs/cgroup/$c$path; done; mkdir -p /sys/fs/cgroup$path; done; \
         echo 'cpuset cpu io memory pids' | tee /sys/fs/cgroup/cgroup.controllers >/dev/null; \
         exec timeout 60 {BRIG} serve --listen 127.0.0.1:0 --data {data}/data"
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("reason:") || text.contains("remedy:"),
        "{text}"
    );
}

#[test]
fn a_bad_profile_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::write(
        dir.path().join("policies/p.toml"),
        "name = \"p\"\ndescription = \"d\"\nnonsense = 1\n",
    )
    .unwrap();
    let output = brig(&["--profiles", dir.path().to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("p.toml:3"), "{}", stderr(&output));
}

#[test]
fn a_data_directory_out_of_reach_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    let output = Command::new(BRIG)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = stderr(&output);
    let parent = dir.path().to_str().unwrap();
    assert!(
        text.contains(parent) && text.contains("chmod o+x"),
        "{text}"
    );
}
