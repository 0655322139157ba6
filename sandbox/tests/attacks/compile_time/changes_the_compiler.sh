# attack: replaces the compiler or a header for those who come after
# policy: compile
# stopped-by: sandbox = denied
# control: native

# Natively a file is only added, and taken away again.
for dir in /usr/include /usr/lib/gcc /usr/local/bin /usr/local/include; do
  if touch "$dir/brig-attack-$$" 2>/dev/null; then
    rm "$dir/brig-attack-$$"
    exit 42
  fi
done
exit 0
