# attack: a file of the host through the assembler's .incbin
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

printf '__asm__(".incbin \\"%s\\"");' "$1" >a.c
gcc -c a.c -o a.o && grep -q "host's secret" a.o && exit 42
exit 0
