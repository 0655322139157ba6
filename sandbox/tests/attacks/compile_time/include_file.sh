# attack: a file of the host through an #include
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

printf '#include "%s"\n' "$1" >a.c
gcc -E a.c 2>&1 | grep -q "host's secret" && exit 42
exit 0
