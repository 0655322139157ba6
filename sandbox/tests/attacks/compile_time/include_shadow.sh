# attack: has the compiler read the host's passwords and print them in its error messages
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# stopped-by: sandbox = denied
# control: native

printf '#include "/etc/shadow"\n' >a.c
gcc -fsyntax-only a.c 2>&1 | grep -q 'root:' && exit 42
exit 0
