# attack: a compile writes to what other compiles start from
# policy: compile
# run: --prepared {prepared_dir}
# stopped-by: readonly = denied
# stopped-by: landlock = denied
file=/brig/prepared/key/bits/stdc++.h.gch
# Without it there would be nothing to poison.
[ -r $file ] || exit 3
{ echo poison >$file || echo poison >/brig/prepared/key/other || mv $file $file.old || rm $file ||
  mkdir /brig/prepared/other; } 2>/dev/null && exit 42
exit 0
