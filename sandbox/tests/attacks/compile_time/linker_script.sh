# attack: a file of the host through the linker, as a script, which its error message quotes
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

echo 'int main(void) { return 0; }' >a.c
gcc a.c -Wl,-T,"$1" 2>&1 | grep -q 'syntax error' && exit 42
exit 0
