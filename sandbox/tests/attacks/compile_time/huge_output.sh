# attack: a short program whose compiled form is huge
# policy: compile
# run: --memory 1G --disk 512M --file-size 16M --cpu-time 20s --wall-time 60s
# stopped-by: rlimits = denied

echo 'char huge[64 << 20] = {1}; int main(void) { return huge[0]; }' >a.c
gcc -c a.c -o a.o
size=$(stat -c %s a.o 2>/dev/null || echo 0)
[ "$size" -gt $((32 << 20)) ] && exit 42
exit 0
