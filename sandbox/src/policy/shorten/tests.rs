use proptest::prelude::*;

use super::super::seccomp::compile_at_length;
use super::super::{BUILT_IN, parse};
use super::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const NOTIFY: u32 = 0x7fc0_0000;

/// Not used by libseccomp.
const IF_ANY_BIT: u16 = 0x45;
/// Where `struct seccomp_data` has them.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;

/// `struct seccomp_data` in words.
type Call = [u32; 16];

/// What the kernel answers, by the definition of classic BPF.
fn execute(program: &[sock_filter], call: &Call) -> u32 {
    let (mut at, mut held) = (0, 0);
    loop {
        let instruction = &program[at];
        let k = instruction.k;
        at += 1;
        let holds = match instruction.code {
            LOAD => {
                held = call[usize::try_from(k / 4).unwrap()];
                continue;
            }
            AND => {
                held &= k;
                continue;
            }
            JUMP => {
                at += usize::try_from(k).unwrap();
                continue;
            }
            RETURN => return k,
            IF_EQUAL => held == k,
            IF_ABOVE => held > k,
            IF_AT_LEAST => held >= k,
            IF_ANY_BIT => held & k != 0,
            other => panic!("unknown instruction {other:#x}"),
        };
        at = target(at - 1, *instruction, holds);
    }
}

fn call(arch: u32, number: u32, args: [u64; 6]) -> Call {
    let mut call = [0; 16];
    (call[0], call[1]) = (number, arch);
    for (i, arg) in args.iter().enumerate() {
        call[4 + 2 * i] = u32::try_from(arg & 0xffff_ffff).unwrap();
        call[5 + 2 * i] = u32::try_from(arg >> 32).unwrap();
    }
    call
}

fn built_in() -> impl Iterator<Item = (&'static str, Vec<sock_filter>)> {
    BUILT_IN.iter().map(|(file, text)| {
        let policy = parse(file, text).unwrap();
        let program = compile_at_length(&policy).unwrap();
        (*file, program.instructions().to_vec())
    })
}

/// Values at which a comparison of `program` may tip.
fn tipping(program: &[sock_filter]) -> BTreeSet<u32> {
    let mut values = BTreeSet::from([0, 1, u32::MAX]);
    for k in program.iter().map(|instruction| instruction.k) {
        values.extend([k.wrapping_sub(1), k, k.wrapping_add(1)]);
    }
    values
}

#[test]
fn every_number_of_every_built_in_policy_is_answered_alike() {
    for (file, given) in built_in() {
        let short = shorten(&given).unwrap();
        let mut numbers = tipping(&given);
        numbers.extend(0..1024);
        numbers.extend(0x4000_0000..0x4000_0400);
        for number in numbers {
            for arch in [X86_64, I386, 0, X86_64 + 1] {
                for args in [[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]] {
                    let call = call(arch, number, args);
                    let (long, short) = (execute(&given, &call), execute(&short, &call));
                    assert_eq!(long, short, "{file}: {number} of {arch:#x} with {args:?}");
                }
            }
        }
    }
}

/// Numbers that are answered by their arguments, and arguments at which the answer may tip.
fn arguments_that_matter(given: &[sock_filter]) -> (Vec<u32>, Vec<u64>) {
    let (mut numbers, mut values) = (Vec::new(), BTreeSet::from([0, u64::MAX]));
    let loads = given.iter().enumerate().filter(|(_, i)| i.code == LOAD);
    for look in loads.map(|(at, _)| Look::at(given, at).unwrap()) {
        let ranges = look.ranges().unwrap();
        match look.word {
            ARCH_AT => {}
            NUMBER_AT => numbers.extend(
                ranges
                    .iter()
                    .filter(|range| matches!(range.fate, Fate::Look(_)) && range.from < 1024)
                    .map(|range| range.from),
            ),
            _ => {
                for from in ranges.iter().map(|range| u64::from(range.from)) {
                    values.extend([from, from.wrapping_sub(1), from + 1, from << 32]);
                }
            }
        }
    }
    (numbers, values.into_iter().collect())
}

#[test]
fn any_arguments_are_answered_alike() {
    for (file, given) in built_in() {
        let short = shorten(&given).unwrap();
        let (numbers, values) = arguments_that_matter(&given);
        assert!(numbers.len() > 3 && values.len() > 10, "{file}");
        let arguments = proptest::collection::vec(proptest::sample::select(values), 6);
        let calls = (proptest::sample::select(numbers), arguments);
        let answers = std::cell::RefCell::new(BTreeMap::<u32, u32>::new());
        let config = ProptestConfig {
            cases: 20_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let checked = runner.run(&calls, |(number, arguments)| {
            let call = call(X86_64, number, arguments.try_into().unwrap());
            let answer = execute(&given, &call);
            *answers.borrow_mut().entry(answer).or_default() += 1;
            prop_assert_eq!(answer, execute(&short, &call), "{}: {}", file, number);
            Ok(())
        });
        checked.unwrap();
        // Calls of both kinds were tried.
        let often = |count: &&u32| **count > 100;
        assert!(
            answers.borrow().values().filter(often).count() > 1,
            "{file}: {answers:?}"
        );
    }
}

#[test]
fn built_in_policies_become_a_quarter_shorter() {
    for (file, given) in built_in() {
        let short = shorten(&given).unwrap();
        println!(
            "{file}: {} instructions, {} before",
            short.len(),
            given.len()
        );
        assert!(4 * short.len() <= 3 * given.len(), "{file}");
    }
}

/// A program that looks as libseccomp's do.
fn program(rules: &[(u32, u32)]) -> Vec<sock_filter> {
    let compare = |k, jt, jf| sock_filter {
        code: IF_EQUAL,
        jt,
        jf,
        k,
    };
    let mut code = vec![
        plain(LOAD, ARCH_AT),
        compare(X86_64, 1, 0),
        plain(RETURN, NOTIFY),
        plain(LOAD, NUMBER_AT),
    ];
    for (number, answer) in rules {
        code.push(compare(*number, 0, 1));
        code.push(plain(RETURN, *answer));
    }
    code.push(plain(RETURN, NOTIFY));
    code
}

#[test]
fn what_is_not_understood_stays() {
    let good = program(&[(1, ALLOW), (2, ALLOW), (3, ALLOW), (4, ALLOW)]);
    assert!(shorten(&good).is_some());
    // A look at a bit, a mask that comes late, an unknown instruction, no end.
    for (at, instruction) in [
        (
            4,
            sock_filter {
                code: IF_ANY_BIT,
                ..good[4]
            },
        ),
        (6, plain(AND, 1)),
        (4, plain(0x87, 0)),
        (12, plain(LOAD, NUMBER_AT)),
    ] {
        let mut other = good.clone();
        other[at] = instruction;
        assert!(shorten(&other).is_none(), "{at}: {:#x}", instruction.code);
    }
    assert!(shorten(&[]).is_none());
}

#[test]
fn what_would_not_become_shorter_stays() {
    let least = [plain(LOAD, ARCH_AT), plain(RETURN, NOTIFY)];
    assert!(shorten(&least).is_none());
}

proptest! {
    #[test]
    fn any_list_of_numbers_is_answered_alike(
        rules in proptest::collection::vec((0u32..90, 0u32..3), 0..80),
        others in proptest::collection::vec(any::<u32>(), 0..8),
    ) {
        let rules: Vec<_> = rules
            .into_iter()
            .chain(others.into_iter().map(|number| (number, 2)))
            .map(|(number, answer)| (number, ALLOW + answer))
            .collect();
        let given = program(&rules);
        if let Some(short) = shorten(&given) {
            prop_assert!(short.len() < given.len());
            for number in tipping(&given).into_iter().chain(0..100) {
                let call = call(X86_64, number, [0; 6]);
                prop_assert_eq!(execute(&given, &call), execute(&short, &call), "{}", number);
            }
        }
    }
}
