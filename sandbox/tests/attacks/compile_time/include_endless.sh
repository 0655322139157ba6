# attack: has the compiler read a file without end; the control stops it at 250 MB
# policy: compile
# run: --memory 64M --cpu-time 30s --wall-time 60s
# stopped-by: memory_limit = memory_limit

printf '#include "/dev/zero"\n' >a.c
ulimit -v 250000
gcc -fsyntax-only a.c
exit 42
