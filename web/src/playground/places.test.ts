import { expect, test } from "vitest";
import { Places, findings } from "./places";

/** What the tools of each language really say, and where the fault was. */
const SAID: [string, string, string, [number, number | null, string][]][] = [
  ["GCC", "main.c", "main.c: In function ‘main’:\nmain.c:2:11: error: ‘y’ undeclared (first use in this function)\n    2 |   int x = y;\nmain.c:3:1: warning: unused", [[2, 11, "‘y’ undeclared (first use in this function)"], [3, 1, "unused"]]],
  ["rustc", "main.rs", "error[E0308]: mismatched types\n --> main.rs:2:18\n  |\nerror: aborting due to previous error", [[2, 18, "mismatched types"]]],
  ["javac", "Main.java", "Main.java:3: error: incompatible types: String cannot be converted to int\n    int x = \"s\";\n            ^\n1 error", [[3, null, "incompatible types: String cannot be converted to int"]]],
  ["Go", "main.go", "# _/box\n./main.go:3:3: x declared but not used", [[3, 3, "x declared but not used"]]],
  ["CPython", "main.py", 'Traceback (most recent call last):\n  File "/box/main.py", line 4, in <module>\n    f()\n  File "/box/main.py", line 2, in f\n    return 1/0\n           ~^~\nZeroDivisionError: division by zero', [[2, null, "ZeroDivisionError: division by zero"]]],
  ["Node", "main.js", "/box/main.js:2\n  null.x;\n       ^\n\nTypeError: Cannot read properties of null (reading 'x')\n    at f (/box/main.js:2:8)\n    at Object.<anonymous> (/box/main.js:4:1)", [[2, null, "TypeError: Cannot read properties of null (reading 'x')"]]],
  ["tsc", "main.ts", "main.ts(1,7): error TS2322: Type 'string' is not assignable to type 'number'.", [[1, 7, "Type 'string' is not assignable to type 'number'."]]],
  ["Mono", "Main.cs", "Compilation failed: 1 error(s), 0 warnings\nMain.cs(2,10): error CS0029: Cannot convert", [[2, 10, "Cannot convert"]]],
  ["Ruby", "main.rb", "main.rb:2:in `f': oops (RuntimeError)\n\tfrom main.rb:4:in `<main>'", [[2, null, "oops (RuntimeError)"]]],
  ["Perl", "main.pl", "bad at main.pl line 3.", [[3, null, "bad"]]],
  ["PHP", "main.php", "Fatal error: Uncaught Exception: bad in /box/main.php:3\nStack trace:\n#0 /box/main.php(5): f()\n#1 {main}\n  thrown in /box/main.php on line 3", [[3, null, "Fatal error: Uncaught Exception: bad"]]],
  ["Lua", "main.lua", "/usr/bin/lua5.4: main.lua:2: attempt to index a nil value (local 'x')\nstack traceback:\n\tmain.lua:2: in main chunk\n\t[C]: in ?", [[2, null, "attempt to index a nil value (local 'x')"]]],
  ["Bash", "main.sh", "main.sh: line 2: foo: command not found", [[2, null, "foo: command not found"]]],
  ["Free Pascal", "main.pas", 'Compiling main.pas\nmain.pas(3,3) Error: Identifier not found "x"', [[3, 3, 'Identifier not found "x"']]],
  ["GHC", "main.hs", "\nmain.hs:2:17: error:\n    • No instance for (Num String)", [[2, 17, "No instance for (Num String)"]]],
  ["OCaml", "main.ml", 'File "main.ml", line 2, characters 12-15:\n2 |   print_int "a"\n                ^^^\nError: This expression has type string', [[2, 12, "This expression has type string"]]],
  ["gfortran", "main.f90", "main.f90:3:5:\n\n    3 |   x = 1\n      |   1\nError: Symbol ‘x’ at (1) has no IMPLICIT type", [[3, 5, "Symbol ‘x’ at (1) has no IMPLICIT type"]]],
  ["LDC", "main.d", "main.d(2): Error: cannot implicitly convert", [[2, null, "cannot implicitly convert"]]],
  ["Nim", "main.nim", "/box/main.nim(2, 3) Error: type mismatch: got 'string'", [[2, 3, "type mismatch: got 'string'"]]],
  ["Kotlin", "Main.kt", "Main.kt:2:16: error: type mismatch: inferred type is String", [[2, 16, "type mismatch: inferred type is String"]]],
  ["Erlang", "main.erl", "main.erl:3:12: function x/1 undefined\n%    3| main(_) -> x(1).", [[3, 12, "function x/1 undefined"]]],
  ["Elixir", "main.exs", "** (RuntimeError) bad\n    main.exs:2: (file)\n    (elixir 1.14.0) lib/code.ex:1245: Code.require_file/2", [[2, null, "(RuntimeError) bad"]]],
  ["GNAT", "main.adb", 'main.adb:3:03: error: "X" is undefined\ngnatmake: "main.adb" compilation error', [[3, 3, '"X" is undefined']]],
  ["SQLite", "main.sql", 'Parse error near line 2: near "from": syntax error', [[2, null, 'near "from": syntax error']]],
];

test.each(SAID)("%s", (_, path, text, wanted) => {
  const found = findings(text, new Places([path]));
  expect(found.map(({ line, column, message }) => [line, column, message])).toEqual(wanted);
  expect(found.every((finding) => finding.path === path)).toBe(true);
});

test("a place in another file is not taken for one in ours", () => {
  const places = new Places(["main.py", "lib/main.py"]);
  expect(places.find('File "/usr/lib/main.py", line 3')).toEqual([]);
  expect(places.find("xmain.py:3")).toEqual([]);
  expect(places.find("lib/main.py:3:1: bad").map(({ path }) => path)).toEqual(["lib/main.py"]);
});

test("a mention says where in the text it is", () => {
  const [place] = new Places(["a.c"]).find("see a.c:12:3: error");
  expect(place).toEqual({ from: 4, to: 12, path: "a.c", line: 12, column: 3 });
});

test("names with special characters are no patterns", () => {
  expect(new Places(["a+b(1).py"]).find("a+b(1).py:2: x").map(({ line }) => line)).toEqual([2]);
});
