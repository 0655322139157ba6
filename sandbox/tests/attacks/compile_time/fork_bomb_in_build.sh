# attack: a build that starts more processes than it may
# policy: compile
# run: --processes 16
# stopped-by: pids_limit = denied

# A shell that cannot fork retries for seconds, so that Python counts.
exec python3 - <<'END'
import os, signal, sys

for _ in range(60):
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        sys.exit(0)
sys.exit(42)
END
