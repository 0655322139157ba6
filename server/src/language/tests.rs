//! Tests of profiles, registry and plans, on small made-up profiles and on the built-in ones.

use std::collections::BTreeMap;
use std::path::Path;

use brig_sandbox::limits::Limits;
use brig_sandbox::policy::{self, Policy};
use brig_sandbox::report::{Outcome, StageReport, Usage};

use super::registry::{BUILT_IN, from_texts};
use super::*;

const TOY: &str = r#"
id = "toy"
name = "Toy"
aliases = ["t++", "toy#"]
extensions = ["toy"]
source_name = "main.toy"
packages = ["toyc"]

[version]
command = ["/usr/bin/toyc", "--version"]
pattern = 'toyc (\d+)\.(\d+)'
format = "toyc {1}.{2}"

[compile]
policy = "compile"
command = ["/usr/bin/toyc", "{compiler_args}", "{sources}", "-o", "main"]
env = { TOY_STEM = "{entry_stem}" }

[run]
policy = "strict"
command = ["./main", "-m{memory_mb}"]
env = { TOY = "profile", LANG = "C" }
default_limits = { processes = 3 }
max_limits = { memory_bytes = 1073741824 }

[[run.out_of_memory]]
signal = "SIGABRT"
stderr_contains = "bad_alloc"

[[run.out_of_memory]]
exit_code = 3
"#;

fn policies() -> BTreeMap<String, Policy> {
    policy::load(None).unwrap()
}

fn registry(text: &str) -> Registry {
    from_texts(&[("toy.toml", text)], &[], &policies()).unwrap()
}

fn toy() -> Arc<Language> {
    registry(TOY).find("toy").unwrap()
}

fn built_in() -> Registry {
    Registry::load(None, &policies()).unwrap()
}

/// The line and message of the error that `text` gives.
fn error(text: &str) -> (usize, String) {
    let error = from_texts(&[("toy.toml", text)], &[], &policies()).unwrap_err();
    assert_eq!(error.file, "toy.toml");
    (error.line.unwrap_or(0), error.message)
}

/// The error that `TOY` gives with `from` replaced by `to`, which must be on the line of `place`.
fn error_with(from: &str, to: &str, place: &str) -> String {
    assert!(TOY.contains(from), "{from:?} is not in the profile");
    let text = TOY.replacen(from, to, 1);
    let (line, message) = error(&text);
    let expected = text.lines().position(|l| l.contains(place)).unwrap() + 1;
    assert_eq!(line, expected, "{to:?}: {message}");
    message
}

fn request(paths: &[&str]) -> PlanRequest {
    let file = |path: &&str| SourceFile {
        path: (*path).to_owned(),
        content: Vec::new(),
    };
    PlanRequest {
        files: paths.iter().map(file).collect(),
        source: None,
        entry: None,
        args: Vec::new(),
        compiler_args: Vec::new(),
        env: BTreeMap::new(),
        run_limits: Limits::DEFAULT,
        compile_limits: COMPILE_DEFAULTS,
        policy: None,
    }
}

fn shorthand(source: &str) -> PlanRequest {
    PlanRequest {
        source: Some(source.as_bytes().to_vec()),
        ..request(&[])
    }
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn a_plan_has_both_stages() {
    let plan = toy()
        .plan(PlanRequest {
            args: vec!["x".to_owned()],
            compiler_args: vec!["-g".to_owned()],
            env: BTreeMap::from([("TOY".to_owned(), "request".to_owned())]),
            ..request(&["lib/a.toy", "main.toy", "data.txt"])
        })
        .unwrap();
    let compile = plan.compile.clone().unwrap();
    assert_eq!(
        compile.argv,
        ["/usr/bin/toyc", "-g", "main.toy", "lib/a.toy", "-o", "main"]
    );
    assert_eq!(compile.policy, "compile");
    assert_eq!(compile.collect.as_deref(), Some(&["**".to_owned()][..]));
    assert!(compile.env.contains(&"TOY_STEM=main".to_owned()));
    assert_eq!(compile.limits, COMPILE_DEFAULTS);
    assert_eq!(plan.run.argv, ["./main", "-m256", "x"]);
    let env = [
        "HOME=/box",
        "LANG=C",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "TMPDIR=/tmp",
        "TOY=request",
    ];
    assert_eq!(plan.run.env, env);
    assert_eq!(plan.run.policy, "strict");
    assert!(!plan.needs_artifacts());
}

#[test]
fn shorthand_and_files_combine() {
    let both = PlanRequest {
        source: Some(b"x".to_vec()),
        ..request(&["a.toy", "b.txt"])
    };
    let plan = toy().plan(both).unwrap();
    assert_eq!(paths(&plan), ["main.toy", "a.toy", "b.txt"]);
    assert_eq!(plan.compile.unwrap().argv[1..3], ["main.toy", "a.toy"]);
}

#[test]
fn an_unclear_entry_matters_only_where_it_is_used() {
    let plan = toy().plan(request(&["a.toy", "b.toy"]));
    assert_eq!(plan.unwrap_err().pointer, "/entry");
    let text = TOY.replace("env = { TOY_STEM = \"{entry_stem}\" }", "");
    let plan = registry(&text)
        .find("toy")
        .unwrap()
        .plan(request(&["b.toy", "a.toy"]))
        .unwrap();
    assert_eq!(plan.compile.unwrap().argv[1..3], ["b.toy", "a.toy"]);
}

#[test]
fn plan_errors_point_at_the_field() {
    let refused = |request: PlanRequest| toy().plan(request).unwrap_err();
    let names = |paths: &[&str]| refused(request(paths));
    assert_eq!(refused(request(&[])).pointer, "");
    assert_eq!(names(&["a.toy", "../b.toy"]).pointer, "/files/1/path");
    assert_eq!(names(&["a.toy", "a.toy"]).pointer, "/files/1/path");
    assert_eq!(names(&["main.toy/x", "main.toy"]).pointer, "/files/0/path");
    let both = PlanRequest {
        source: Some(Vec::new()),
        ..request(&["main.toy"])
    };
    assert_eq!(refused(both).pointer, "/files/0/path");
    assert_eq!(names(&["a.txt", "b.txt"]).pointer, "/entry");
    let entry = PlanRequest {
        entry: Some("c.toy".to_owned()),
        ..request(&["a.toy", "b.toy"])
    };
    let error = refused(entry);
    assert_eq!(error.pointer, "/entry");
    assert_eq!(
        error.detail,
        "no file is called \"c.toy\"; there are \"a.toy\", \"b.toy\""
    );
    let nul = PlanRequest {
        args: vec![String::new(), "\0".to_owned()],
        ..request(&["a.toy"])
    };
    assert_eq!(refused(nul).pointer, "/args/1");
    let env = BTreeMap::from([("a/b=".to_owned(), String::new())]);
    assert_eq!(
        refused(PlanRequest {
            env,
            ..request(&["a.toy"])
        })
        .pointer,
        "/env/a~1b="
    );
    let policy = refused(PlanRequest {
        policy: Some("lax".to_owned()),
        ..request(&["a.toy"])
    });
    assert_eq!(policy.pointer, "/policy");
    assert!(
        policy.detail.contains("compile, default, jvm, strict"),
        "{}",
        policy.detail
    );
}

#[test]
fn compiler_arguments_need_a_compiler() {
    let python = built_in().find("python").unwrap();
    let refused = PlanRequest {
        compiler_args: vec!["-O".to_owned()],
        ..shorthand("")
    };
    assert_eq!(python.plan(refused).unwrap_err().pointer, "/compiler_args");
}

#[test]
fn a_policy_of_the_request_is_for_the_run_stage() {
    let plan = toy()
        .plan(PlanRequest {
            policy: Some("jvm".to_owned()),
            ..shorthand("")
        })
        .unwrap();
    assert_eq!(plan.run.policy, "jvm");
    assert_eq!(plan.compile.unwrap().policy, "compile");
}

#[test]
fn java_sources_are_named_after_their_public_type() {
    let java = built_in().find("java").unwrap();
    let plan = java
        .plan(shorthand(
            "package a.b; class X {} public final class Solve {}",
        ))
        .unwrap();
    assert_eq!(paths(&plan), ["Solve.java"]);
    assert!(plan.needs_artifacts());
    let main_of = |artifacts: &[Artifact]| {
        let main_class = java.main_class(&plan, artifacts);
        java.run_stage(&plan, main_class, Vec::new(), plan.run.limits)
            .argv
    };
    assert!(main_of(&[]).contains(&"Solve".to_owned()));
    let any_name = java.plan(shorthand("class Solve { }")).unwrap();
    assert_eq!(paths(&any_name), ["Main.java"]);
    let asked = PlanRequest {
        entry: Some("Main.java".to_owned()),
        ..shorthand("public class B {}")
    };
    assert_eq!(paths(&java.plan(asked).unwrap()), ["B.java"]);
}

#[test]
fn a_source_can_be_named_by_a_pattern() {
    let text = TOY.replace(
        "[version]",
        "[entry]\nname_source_by = 'module (\\S+)'\n\n[version]",
    );
    let toy = registry(&text).find("toy").unwrap();
    let name = |source: &str| toy.plan(shorthand(source)).unwrap().files[0].path.clone();
    assert_eq!(name("module solve x"), "solve.toy");
    assert_eq!(name("nothing"), "main.toy");
    assert_eq!(name("module ../x"), "main.toy");
}

#[test]
fn languages_are_found_by_every_name() {
    let registry = registry(TOY);
    for name in ["toy", "TOY", "t++", "Toy#"] {
        assert_eq!(registry.find(name).unwrap().id, "toy");
    }
    let error = registry.find("tcl").unwrap_err();
    assert_eq!(error.message, "unknown language \"tcl\"; one of toy");
}

#[test]
fn a_version_can_be_asked_for() {
    let registry = registry(TOY);
    let language = registry.find("toy").unwrap();
    assert!(
        registry
            .find("toy@1")
            .unwrap_err()
            .message
            .contains("not known yet")
    );
    language.set_availability(Availability::Available {
        version: "toyc 12.2.0".to_owned(),
    });
    for name in ["toy@12", "toy@12.2", "t++@12.2.0", "toy@toyc 12.2.0"] {
        assert!(registry.find(name).is_ok(), "{name}");
    }
    for name in ["toy@1", "toy@12.2.0.1", "toy@", "toy@2.0"] {
        assert!(
            registry.find(name).unwrap_err().message.contains("not as"),
            "{name}"
        );
    }
    language.set_availability(Availability::Unavailable {
        reason: "gone".to_owned(),
    });
    assert!(
        registry
            .find("toy@12")
            .unwrap_err()
            .message
            .contains("gone")
    );
}

#[test]
fn versions_are_read_from_either_stream() {
    let toy = toy();
    assert_eq!(
        toy.parse_version(b"toyc 1.25\n", b"").as_deref(),
        Some("toyc 1.25")
    );
    assert_eq!(
        toy.parse_version(b"\xff", b"this is toyc 2.0").as_deref(),
        Some("toyc 2.0")
    );
    assert_eq!(toy.parse_version(b"", b""), None);
    assert_eq!(toy.version_stage().argv, ["/usr/bin/toyc", "--version"]);
    assert!(
        toy.missing_reason("no such file")
            .contains("apt-get install toyc")
    );
}

#[test]
fn a_directory_overrides_by_id() {
    let own = TOY.replace("name = \"Toy\"", "name = \"Own\"");
    let other = TOY
        .replace("id = \"toy\"", "id = \"two\"")
        .replace("[\"t++\", \"toy#\"]", "[]");
    let registry = from_texts(
        &[("toy.toml", TOY)],
        &[("own.toml", &own), ("two.toml", &other)],
        &policies(),
    )
    .unwrap();
    let ids: Vec<&str> = registry.all().iter().map(|l| l.id.as_str()).collect();
    assert_eq!(ids, ["toy", "two"]);
    assert_eq!(registry.find("t++").unwrap().name, "Own");
}

#[test]
fn a_reload_keeps_what_is_known_of_unchanged_profiles() {
    let old = registry(TOY);
    old.all()[0].set_availability(Availability::Available {
        version: "toyc 1.0".to_owned(),
    });
    let same = registry(TOY);
    same.adopt_states(&old);
    assert_eq!(same.all()[0].availability(), old.all()[0].availability());
    let changed = registry(&TOY.replace("\"-m{memory_mb}\"", "\"-x\""));
    changed.adopt_states(&old);
    assert_eq!(changed.all()[0].availability(), Availability::Unknown);
}

#[test]
fn a_directory_is_read_and_its_errors_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("toy.toml"), TOY).unwrap();
    std::fs::write(directory.path().join("notes.txt"), "ignored").unwrap();
    assert!(
        Registry::load(Some(directory.path()), &policies())
            .unwrap()
            .find("toy")
            .is_ok()
    );
    std::fs::write(
        directory.path().join("bad.toml"),
        "id = \"x\"\ncolour = 1\n",
    )
    .unwrap();
    let error = Registry::load(Some(directory.path()), &policies())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bad.toml:2: unknown field `colour`"),
        "{error}"
    );
    assert!(Registry::load(Some(Path::new("/nonexistent")), &policies()).is_err());
}

#[test]
fn form_errors_have_their_line() {
    assert!(error_with("name = \"Toy\"", "name = 3", "name = 3").contains("invalid type"));
    assert!(error_with("[run]", "[run]\ncolour = 1", "colour").contains("unknown field `colour`"));
    assert!(
        error_with("processes = 3", "proceses = 3", "proceses")
            .contains("unknown field `proceses`")
    );
    error_with("name = \"Toy\"", "name = Toy", "name = Toy");
    assert!(error("id = \"x\"").1.contains("missing field"));
}

/// What to replace in [`TOY`], by what, on which line the error must be, and what it must say.
const BROKEN_RULES: &[(&str, &str, &str, &str)] = &[
    ("id = \"toy\"", "id = \"To y\"", "id = ", "is not of a-z"),
    ("\"t++\", \"toy#\"", "\"t@\"", "t@", "is not of a-z"),
    ("[\"toy\"]", "[\".toy\"]", ".toy\"]", "without its dot"),
    ("main.toy", "a/main.toy", "a/main", "is not a file name"),
    ("main.toy", "main.txt", "main.txt", "none of the extensions"),
    ("\"toyc\"]", "\"toy c\"]", "toy c", "not a package name"),
    (
        "packages =",
        "mounts = [\"/etc\",\n  \"/etc/*/x\"]\npackages =",
        "/*/",
        "absolute path",
    ),
    (
        "'toyc (\\d+)\\.(\\d+)'",
        "'toyc ('",
        "'toyc ('",
        "bad regular expression",
    ),
    ("'toyc (\\d+)\\.(\\d+)'", "'toyc'", "'toyc'", "no group"),
    (
        "toyc {1}.{2}",
        "toyc {3}",
        "toyc {3}",
        "may hold {1} to {2}",
    ),
    (
        "policy = \"compile\"",
        "policy = \"lax\"",
        "lax",
        "unknown policy",
    ),
    (
        "\"-m{memory_mb}\"",
        "\n  \"-m{memory}\"",
        "{memory}",
        "unknown placeholder {memory}",
    ),
    (
        "\"-m{memory_mb}\"",
        "\n  \"{main_class}\"",
        "command = [\"./main",
        "needs entry.kind",
    ),
    ("\"./main\"", "\"main\"", "command = [\"main", "not a path"),
    ("\"profile\"", "\"{args}\"", "{args}", "no meaning here"),
    (
        "{ processes = 3 }",
        "{ memory_bytes = 1073741825 }",
        "1073741825",
        "above the maximum",
    ),
    (
        "{ processes = 3 }",
        "{ processes = 0 }",
        "processes = 0",
        "above zero",
    ),
    (
        "{ processes = 3 }",
        "{ open_files = 1001 }",
        "1001",
        "above 1000",
    ),
    (
        "\"SIGABRT\"",
        "\"SIGFOO\"",
        "[[run.out_of_memory]]",
        "unknown signal",
    ),
    (
        "[version]",
        "[entry]\nkind = \"java\"\n\n[version]",
        "kind =",
        "needs {main_class}",
    ),
    (
        "policy = \"strict\"",
        "policy = \"strict\"\nprestart = \"main.toy\"",
        "prestart =",
        "does not name the entry",
    ),
    (
        "policy = \"compile\"",
        "policy = \"compile\"\nprestart = \"{entry}\"",
        "prestart =",
        "only the run stage",
    ),
    (
        "\"{compiler_args}\"",
        "\"{prepared}\"",
        "{prepared}",
        "there is a table `prepare`",
    ),
    (
        "[run]",
        "[compile.prepare]\ncommand = [\"cc\"]\nfile = \"a\"\narguments = [\"{prepared_dir}\"]\n\n[run]",
        "command = [\"cc\"]",
        "no absolute path",
    ),
    (
        "[run]",
        "[compile.prepare]\ncommand = [\"/cc\", \"{sources}\"]\nfile = \"a\"\narguments = [\"{prepared_dir}\"]\n\n[run]",
        "\"/cc\"",
        "no meaning here",
    ),
    (
        "[run]",
        "[compile.prepare]\ncommand = [\"/cc\"]\nfile = \"../a\"\narguments = [\"{prepared_dir}\"]\n\n[run]",
        "file = \"../a\"",
        "'.' or '..'",
    ),
    (
        "[run]",
        "[compile.prepare]\ncommand = [\"/cc\"]\nfile = \"a\"\narguments = [\"-I\"]\n\n[run]",
        "arguments = [\"-I\"]",
        "do not name {prepared_dir}",
    ),
    (
        "[run]",
        "[compile.prepare]\ncommand = [\"/cc\"]\nfile = \"a\"\narguments = [\"{prepared_dir}\"]\nredo_if = \"(\"\n\n[run]",
        "redo_if =",
        "bad regular expression",
    ),
    (
        "[run]",
        "[run.prepare]\ncommand = [\"/cc\"]\nfile = \"a\"\narguments = [\"{prepared_dir}\"]\n\n[run]",
        "[run.prepare]",
        "only the compile stage",
    ),
];

/// The toy's compiler can start from a file, also with `-O`.
fn toy_with_prepared() -> Arc<Language> {
    let prepare = r#"
[compile.prepare]
files = { "lib.toy" = "lib" }
command = ["/usr/bin/toyc", "{compiler_args}", "--prepare", "lib.toy"]
file = "lib.bin"
arguments = ["--lib", "{prepared_dir}/lib.bin"]
compiler_args = [["-O"]]
sources = '\Ause lib\n'
redo_if = "lib"

[run]"#;
    let text = TOY
        .replacen("\"{sources}\"", "\"{prepared}\", \"{sources}\"", 1)
        .replacen("[run]", prepare, 1);
    registry(&text).find("toy").unwrap()
}

#[test]
fn a_compile_can_start_from_a_file_that_was_made_for_it() {
    let toy = toy_with_prepared();
    let plan = |source: &str, compiler_args: &[&str]| {
        let compiler_args = compiler_args.iter().map(|a| (*a).to_owned()).collect();
        let request = PlanRequest {
            compiler_args,
            ..shorthand(source)
        };
        toy.plan(request).unwrap().compile.unwrap()
    };
    for (args, number) in [(&[][..], 0), (&["-O"][..], 1)] {
        let stage = plan("use lib\nx", args);
        let before = [&["/usr/bin/toyc"], args].concat();
        let after = &["main.toy", "-o", "main"];
        assert_eq!(stage.argv, [&before[..], after].concat());
        let start = stage.start.as_ref().unwrap();
        let told = &["--lib", "/there/lib.bin"];
        let command = start.command(&stage, "/there");
        assert_eq!(command, [&before[..], told, after].concat());
        assert_eq!(start.preparation, toy.preparations()[number]);
        let made_by = &start.preparation.stage;
        assert_eq!(
            made_by.argv,
            [&before[..], &["--prepare", "lib.toy"]].concat()
        );
        assert_eq!(
            made_by.collect.as_deref(),
            Some(&["lib.bin".to_owned()][..])
        );
        assert!(start.preparation.must_redo(b"in lib") && !start.preparation.must_redo(b""));
    }
    assert_eq!(plan("x", &[]).start, None);
    assert_eq!(plan("use lib\n", &["-g"]).start, None);
    assert_eq!(plan("use lib\n", &["-O", "-O"]).start, None);
}

#[test]
fn cpp_starts_from_the_standard_header_only_where_gcc_would_take_it_as_it_is() {
    let cpp = built_in().find("cpp").unwrap();
    let starts = |source: &str| {
        let plan = cpp.plan(shorthand(source)).unwrap();
        plan.compile.unwrap().start.is_some()
    };
    let header = "#include <bits/stdc++.h>\nint main() {}\n";
    for before in [
        "",
        "\n \t\r\n",
        "// a comment\n/* another\n * of ** lines **/ /**/\n",
        "#define int long long\n#define half(x) ((x) / 2) // of it\n# define endl '\\n'\n",
    ] {
        assert!(starts(&format!("{before}{header}")), "{before:?}");
    }
    assert!(starts("#include \"bits/stdc++.h\""));
    for before in [
        "#pragma GCC optimize(\"O3\")\n",
        "#define X _Pragma(\"GCC optimize(3)\")\nX\n",
        "#include <iostream>\n",
        "int x;\n",
        "#if 0\n",
        "/* a */ #pragma GCC target(\"avx2\") /* b */\n",
        "/* a */\n#pragma GCC target(\"avx2\")\n/* b */\n",
        // The header is in a comment or a macro, and what comes then may be anything.
        "// x \\\n",
        "// x \\ \n",
        "#define X \\\n",
        "#define X /*\n",
        "#define X ??/\n",
        "/*",
    ] {
        assert!(!starts(&format!("{before}{header}")), "{before:?}");
    }
    assert!(!starts("int main() {}\n"));
    let several = PlanRequest {
        files: ["a.cpp", "b.cpp"]
            .map(|path| SourceFile {
                path: path.to_owned(),
                content: if path == "a.cpp" {
                    header.into()
                } else {
                    b"int x;".to_vec()
                },
            })
            .into(),
        ..request(&[])
    };
    assert_eq!(cpp.plan(several).unwrap().compile.unwrap().start, None);
}

#[test]
fn the_script_of_a_command_that_may_be_started_ahead_is_known() {
    let languages = built_in();
    let script = |id: &str, request: PlanRequest| {
        let plan = languages.find(id).unwrap().plan(request).unwrap();
        assert!(plan.compile.is_none_or(|stage| stage.script.is_none()));
        plan.run.script
    };
    let of = |id: &str| script(id, shorthand("x"));
    assert_eq!(of("python").as_deref(), Some("main.py"));
    assert_eq!(of("typescript").as_deref(), Some("main.js"));
    assert_eq!(of("cpp"), None);
    let entry = PlanRequest {
        entry: Some("src/start.py".to_owned()),
        ..request(&["src/start.py", "src/other.py"])
    };
    assert_eq!(script("python", entry).as_deref(), Some("src/start.py"));
}

#[test]
fn broken_rules_have_their_line() {
    for (from, to, place, message) in BROKEN_RULES {
        let got = error_with(from, to, place);
        assert!(got.contains(message), "{to:?}: {got}");
    }
}

#[test]
fn names_are_unique() {
    let aliases = |to: &str| error_with("\"t++\", \"toy#\"", to, "aliases");
    assert!(aliases("\"t++\", \"t++\"").contains("already"));
    assert!(aliases("\"toy\"").contains("already"));
    let twice = from_texts(&[("a.toml", TOY), ("b.toml", TOY)], &[], &policies()).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "b.toml:2: another file has the id \"toy\" too"
    );
}

#[test]
fn out_of_memory_rules() {
    let toy = toy();
    let report = |outcome, exit_code, signal| StageReport {
        outcome,
        exit_code,
        signal,
        violation: None,
        usage: Usage::default(),
        setup_us: 0,
        warm: false,
        prestarted: false,
        collect_error: None,
    };
    let run =
        |report: &StageReport, stderr: &[u8]| toy.classify_oom(StageKind::Run, report, stderr);
    let abort = report(Outcome::Signaled, None, Some(6));
    assert!(run(&abort, b"what(): std::bad_alloc\n"));
    assert!(!run(&abort, b"assertion failed"));
    assert!(!run(
        &report(Outcome::Signaled, None, Some(11)),
        b"bad_alloc"
    ));
    assert!(run(&report(Outcome::Exited, Some(3), None), b""));
    assert!(!run(&report(Outcome::Exited, Some(0), None), b"bad_alloc"));
    assert!(!run(
        &report(Outcome::CpuTimeLimit, Some(3), None),
        b"bad_alloc"
    ));
    assert!(!toy.classify_oom(
        StageKind::Compile,
        &report(Outcome::Exited, Some(3), None),
        b""
    ));
}

#[test]
fn every_profile_is_built_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/languages");
    let Ok(files) = policy::toml_files(Some(&directory)) else {
        panic!("{directory:?} is gone")
    };
    let there: Vec<String> = files
        .iter()
        .map(|(file, _)| {
            Path::new(file)
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let mut built_in: Vec<&str> = BUILT_IN.iter().map(|(file, _)| *file).collect();
    built_in.sort_unstable();
    assert_eq!(there, built_in);
}

#[test]
fn built_in_profiles_are_sound() {
    let registry = built_in();
    let core = registry.all().iter().filter(|l| l.core).count();
    assert_eq!(core, 12);
    for language in registry.all() {
        let plan = language.plan(shorthand("")).unwrap();
        assert_eq!(plan.files.len(), 1, "{}", language.id);
        assert!(
            language.example.is_empty() == (language.id == "executable"),
            "{}",
            language.id
        );
        for program in plan.compile.iter().chain([&plan.run]).map(|s| &s.argv[0]) {
            assert!(
                program.starts_with("/usr/")
                    || program.starts_with("/bin/")
                    || program.starts_with("./"),
                "{program}"
            );
        }
    }
}

#[test]
fn only_the_languages_asked_for_are_kept() {
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        built_in().keep_only(&names)
    };
    let few = named(&["py", "c"]).unwrap();
    let ids: Vec<&str> = few.all().iter().map(|l| l.id.as_str()).collect();
    assert_eq!(ids, ["c", "python"]);
    assert_eq!(few.find("python3").unwrap().id, "python");
    assert!(few.find("java").is_err());
    assert_eq!(named(&[]).unwrap().all().len(), built_in().all().len());
    assert!(named(&["pyton"]).unwrap_err().message.contains("pyton"));
}

#[test]
fn the_profile_in_the_documentation_is_sound() {
    let page = include_str!("../../../docs/languages.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let lines: Vec<&str> = block
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line))
        .collect();
    let registry = from_texts(&[("tcl.toml", &lines.join("\n"))], &[], &policies()).unwrap();
    let plan = registry
        .find("tclsh")
        .unwrap()
        .plan(shorthand("puts 1"))
        .unwrap();
    assert_eq!(plan.run.argv, ["/usr/bin/tclsh", "main.tcl"]);
}

#[test]
fn every_built_in_language_is_in_the_documentation() {
    let page = include_str!("../../../docs/languages.md");
    for language in built_in().all() {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` | {} |", language.id, language.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", language.id));
        assert_eq!(row.contains('●'), language.core, "{row}");
        for word in language.packages.iter().chain(&language.aliases) {
            assert!(row.contains(&format!("`{word}`")), "{word} is not in {row}");
        }
    }
}
