# attack: a file of the host through the compiler's response file, whose content ends up in messages
# policy: compile
# run: --cpu-time 10s --wall-time 20s
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

echo >a.c
gcc "@$1" a.c 2>&1 | grep -q 'hosts secret' && exit 42
exit 0
