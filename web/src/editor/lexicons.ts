import type { Lexicon } from "./words";

export const ada: Lexicon = {
  name: "ada",
  foldCase: true,
  keywords:
    "abort abs abstract accept access aliased all and array at begin body case constant declare delay delta digits do else elsif end entry exception exit for function generic goto if in interface is limited loop mod new not of or others out overriding package pragma private procedure protected raise range record rem renames requeue return reverse select separate some subtype synchronized tagged task terminate then type until use when while with xor",
  atoms: "true false null",
  builtins: "integer natural positive float boolean character string duration long_integer long_float put put_line get get_line new_line",
  lineComment: "--",
  strings: ['"'],
  special: [[/^'(?:.)'/, "string"]],
};

export const awk: Lexicon = {
  name: "awk",
  keywords: "BEGIN END BEGINFILE ENDFILE function func if else while for do break continue next nextfile exit return delete in getline print printf switch case default",
  builtins:
    "NR NF FS OFS RS ORS FNR FILENAME ARGC ARGV ENVIRON SUBSEP RSTART RLENGTH CONVFMT OFMT length substr index split sub gsub match sprintf sin cos atan2 exp log sqrt int rand srand tolower toupper system close gensub strftime systime asort asorti patsplit and or xor lshift rshift compl strtonum",
  lineComment: "#",
  strings: ['"'],
  escape: "\\",
  special: [
    [/^\$(?:\d+|[A-Za-z_]\w*)/, "variableName.special"],
    // A slash begins a pattern only where no operand stands before it.
    [/^\/(?:\\.|[^/\\\n])+\/(?=\s*[{,)&|;]|\s*$)/, "regexp"],
  ],
};

export const elixir: Lexicon = {
  name: "elixir",
  keywords:
    "def defp defmodule defmacro defmacrop defstruct defprotocol defimpl defdelegate defguard defexception do end fn if else unless case cond when with for receive after rescue catch raise try throw import alias require use quote unquote and or not in",
  atoms: "true false nil __MODULE__ __ENV__ __DIR__",
  lineComment: "#",
  strings: ['"""', "'''", '"', "'"],
  escape: "\\",
  special: [
    [/^~[a-zA-Z](?:\/(?:\\.|[^/\\])*\/|"(?:\\.|[^"\\])*"|\((?:\\.|[^)\\])*\)|\[(?:\\.|[^\]\\])*\])[a-z]*/, "string.special"],
    [/^:(?:[A-Za-z_]\w*[?!]?|"(?:\\.|[^"\\])*")/, "atom"],
    [/^[a-z_]\w*[?!]?:(?=\s)/, "atom"],
    [/^@[a-z_]\w*/, "meta"],
    [/^[A-Z]\w*(?:\.[A-Z]\w*)*/, "typeName"],
  ],
  word: /^[a-z_]\w*[?!]?/,
};

export const nim: Lexicon = {
  name: "nim",
  keywords:
    "addr and as asm bind block break case cast concept const continue converter defer discard distinct div do elif else end enum except export finally for from func if import in include interface is isnot iterator let macro method mixin mod not notin object of or out proc ptr raise ref return shl shr static template try tuple type using var when while xor yield",
  atoms: "true false nil",
  builtins: "echo int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 float float32 float64 bool char string seq array set openArray auto void result len add inc dec high low",
  lineComment: "#",
  blockComment: ["#[", "]#"],
  strings: ['"""', '"'],
  escape: "\\",
  special: [
    [/^'(?:\\.[^']*|[^'\\])'/, "string"],
    [/^#(?!\[).*/, "comment"],
    [/^\{\.|^\.\}/, "meta"],
  ],
};

export const prolog: Lexicon = {
  name: "prolog",
  keywords: "is mod rem div xor dynamic discontiguous module use_module initialization",
  atoms: "true fail false halt",
  builtins:
    "write writeln print nl read format assert asserta assertz retract findall bagof setof forall between length append member nth0 nth1 atom number var nonvar atom_codes atom_chars number_codes sort msort read_term maplist foldl sum_list max_list min_list string_concat split_string succ plus",
  lineComment: "%",
  blockComment: ["/*", "*/"],
  strings: ['"', "'", "`"],
  escape: "\\",
  special: [
    [/^0'(?:\\.|.)/, "number"],
    [/^[A-Z_]\w*/, "variableName.special"],
    [/^(?::-|\?-|-->|->|\\\+|!)/, "keyword"],
  ],
  word: /^[a-z]\w*/,
};
