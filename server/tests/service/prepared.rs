//! Compiles that start from a prepared file, beside plain ones: faster is for a measurement, the same is here.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::harness::{Service, eventually};

/// Programs, and whether their compile starts from the file, is to be done again, or is plain.
const PROGRAMS: &[(&str, &[&str], &str)] = &[
    (
        "#include <bits/stdc++.h>\nint main() { std::cout << 42 << std::endl; }\n",
        &[],
        "lent",
    ),
    (
        "// Macros that the header does not know are no obstacle.\n#define ll long long\n#define everything(x) x.begin(), x.end()\n\
         #include <bits/stdc++.h>\nusing namespace std;\n\
         int main() { vector<ll> v{3, 1}; sort(everything(v)); cout << v[0] << sizeof(ll); }\n",
        &[],
        "lent",
    ),
    // Those that it does know change it: the line is checked by the library, which ends the program.
    (
        "#define _GLIBCXX_ASSERTIONS\n#include <bits/stdc++.h>\n\
         int main() { std::vector<int> v(1); volatile int i = 3; return v[i]; }\n",
        &[],
        "lent",
    ),
    (
        "#define NDEBUG\n#include <bits/stdc++.h>\nint main() { assert(0); puts(\"fine\"); }\n",
        &[],
        "lent",
    ),
    // Messages about the program alone.
    (
        "#include <bits/stdc++.h>\nusing namespace std;\nint f() {}\n\
         int main() { int a[2]; a[5] = 1; char *s = \"x\"; printf(\"%s\", a[5]); cot << s; vectr<int> v; return x }\n",
        &[],
        "lent",
    ),
    // Messages that begin in the library.
    (
        "#include <bits/stdc++.h>\nstruct A { int x; };\n\
         int main() { std::vector<A> v; std::sort(v.begin(), v.end()); std::cout << v; }\n",
        &[],
        "redone",
    ),
    (
        "#define int long long\n#include <bits/stdc++.h>\nsigned main() {}\n",
        &[],
        "redone",
    ),
    (
        "#pragma GCC optimize(\"O3\")\n#include <bits/stdc++.h>\nint main() { puts(\"fast\"); }\n",
        &[],
        "plain",
    ),
    (
        "#include <iostream>\n#include <bits/stdc++.h>\nint main() { std::cout << __LINE__ << z; }\n",
        &[],
        "plain",
    ),
    (
        "#include <bits/stdc++.h>\n#ifdef LOCAL\nint main() { std::cout << LOCAL; }\n#endif\n",
        &["-DLOCAL=7", "-O3"],
        "plain",
    ),
];

const EVENTS: [&str; 3] = ["lent", "redone", "missing"];

fn counted(service: &Service) -> [u64; 3] {
    counted_for(service, "cpp")
}

/// How often each of [`EVENTS`] was counted.
fn counted_for(service: &Service, language: &str) -> [u64; 3] {
    let (_, text) = service.get("/metrics").expect("metrics");
    EVENTS.map(|event| {
        let start =
            format!("brig_prepared_files_total{{event=\"{event}\",language=\"{language}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&start));
        value.map_or(0, |value| value.parse().unwrap())
    })
}

fn request(source: &str, compiler_args: &[&str]) -> Value {
    let limits = json!({"cpu_time_ms": 60_000, "wall_time_ms": 120_000});
    json!({
        "language": "cpp", "source": source, "compiler_args": compiler_args, "compile_limits": limits,
    })
}

/// What does not change from one time to the next.
fn essence(answer: &Value) -> Value {
    let stage = |stage: &Value| {
        json!([
            stage["exit_code"],
            stage["signal"],
            stage["stdout"],
            stage["stderr"]
        ])
    };
    json!([
        answer["status"],
        stage(&answer["compile"]),
        stage(&answer["run"])
    ])
}

fn directory(service: &Service) -> PathBuf {
    service.data().1.join("prepared")
}

fn files(service: &Service) -> usize {
    std::fs::read_dir(directory(service)).unwrap().count()
}

#[test]
fn a_compile_that_starts_from_a_prepared_file_answers_as_a_plain_one() {
    let service = Service::start(&["--languages", "cpp"]);
    assert!(service.logs("a file for compiles to start from is made"));
    assert_eq!(files(&service), 1);
    let mut answers = Vec::new();
    for (source, compiler_args, expected) in PROGRAMS {
        let before = counted(&service);
        answers.push(essence(&service.run(&request(source, compiler_args))));
        let now = counted(&service);
        let seen = std::array::from_fn(|i| now[i] - before[i]);
        let expected = match *expected {
            "lent" => [1, 0, 0],
            "redone" => [1, 1, 0],
            _ => [0, 0, 0],
        };
        assert_eq!(seen, expected, "{EVENTS:?} for {source}");
    }
    own_header_wins(&service);
    what_was_removed_is_missed_and_made_again(&service);
    let data = service.data().0;
    assert!(service.stop().success());

    let mut config = tempfile::NamedTempFile::new().unwrap();
    config.write_all(b"prepared_files = false\n").unwrap();
    let config = config.path().to_str().unwrap();
    let plain = Service::start_on(data, &["--languages", "cpp", "--config", config]);
    eventually("those that are there go", || files(&plain) == 0);
    // What the first service compiled is in the cache, and must not be found.
    let other = |source: &str| format!("{source}\n");
    for ((source, compiler_args, _), answer) in PROGRAMS.iter().zip(&answers) {
        let again = plain.run(&request(&other(source), compiler_args));
        assert_eq!(again["compile"]["cached"], false);
        assert_eq!(essence(&again), *answer, "{source}");
    }
    assert_eq!(counted(&plain), [0, 0, 0]);
    assert_eq!(files(&plain), 0);
}

fn own_header_wins(service: &Service) {
    let request = json!({
        "language": "cpp", "entry": "main.cpp", "files": [
            {"path": "main.cpp", "content": "#include \"bits/stdc++.h\"\nint main() { puts(MINE); }\n"},
            {"path": "bits/stdc++.h", "content": "#include <stdio.h>\n#define MINE \"my own\"\n"},
        ],
    });
    let answer = service.run(&request);
    assert_eq!(answer["run"]["stdout"], "my own\n", "{answer}");
}

fn what_was_removed_is_missed_and_made_again(service: &Service) {
    let [_, _, missing] = counted(service);
    for entry in std::fs::read_dir(directory(service)).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let source = "#include <bits/stdc++.h>\nint main() { puts(\"without\"); }\n";
    let answer = service.run(&request(source, &[]));
    assert_eq!(answer["run"]["stdout"], "without\n", "{answer}");
    assert_eq!(counted(service)[2], missing + 1);
    assert!(service.logs("a file for compiles to start from is made"));
    assert_eq!(files(service), 1);
}

#[test]
fn javac_starts_from_an_archive_of_its_classes() {
    let service = Service::start(&["--languages", "java"]);
    assert!(service.logs("a file for compiles to start from is made"));
    let hello =
        "public class Hi {\n public static void main(String[] a) { System.out.println(1); } }\n";
    let raw = "import java.util.*;\nclass Raw { List l = new ArrayList(); { l.add(1); }\n\
        public static void main(String[] a) { System.out.println(new Raw().l); } }\n";
    let wrong = "class Wrong { int x = \"y\"; List<int> l; void f() { return 1 } }\n";
    for source in [hello, raw, wrong] {
        // An argument without effect makes for a plain compile.
        let [lent, plain] = [&[][..], &["-proc:none"]].map(|compiler_args| {
            let before = counted_for(&service, "java");
            let mut request = request(source, compiler_args);
            request["language"] = "java".into();
            let answer = service.run(&request);
            let now = counted_for(&service, "java");
            let lent = std::array::from_fn(|i| now[i] - before[i]);
            (lent, essence(&answer))
        });
        assert_eq!(
            (lent.0, plain.0),
            ([1, 0, 0], [0, 0, 0]),
            "{EVENTS:?} for {source}"
        );
        assert_eq!(lent.1, plain.1, "{source}");
    }
}

/// A language whose prepared file cannot be made.
const BROKEN: &str = r#"
id = "broken"
name = "Broken"
extensions = ["sh"]
source_name = "main.sh"

[version]
command = ["/bin/bash", "--version"]
pattern = 'version (\d+)'
format = "bash {1}"

[compile]
policy = "compile"
command = ["/bin/bash", "{sources}", "{prepared}"]

[compile.prepare]
command = ["/bin/bash", "-c", "echo that does not work >&2; exit 1"]
file = "file"
arguments = ["{prepared_dir}"]

[run]
policy = "default"
command = ["/bin/cat", "made"]
"#;

#[test]
fn a_file_that_cannot_be_made_is_done_without() {
    let profiles = tempfile::tempdir().unwrap();
    std::fs::create_dir(profiles.path().join("languages")).unwrap();
    std::fs::write(profiles.path().join("languages/broken.toml"), BROKEN).unwrap();
    super::harness::for_all(profiles.path());
    let directory = profiles.path().to_str().unwrap();
    let service = Service::start(&["--profiles", directory, "--languages", "broken"]);
    let line = service.log_line("is not made").expect("a warning");
    assert!(line.contains("that does not work"), "{line}");
    let source = "echo \"told of $# files\" > made";
    let answer = service.run(&json!({"language": "broken", "source": source}));
    assert_eq!(answer["run"]["stdout"], "told of 0 files\n", "{answer}");
    assert!(service.metric("brig_prepared_files_total") >= 2.0);
    assert_eq!(files(&service), 0);
}
