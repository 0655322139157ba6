# attack: a file of the host through a program that gcc is told to start in place of its own stages
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

echo 'int main(void) { return 0; }' >a.c
gcc -wrapper "/bin/sh,-c,cat $1" -c a.c 2>&1 | grep -q "host's secret" && exit 42
exit 0
