# attack: reads a file of somebody else's that lies around outside the sandbox for everybody to read
# args: {secret_file}
# stopped-by: rootfs = denied
# stopped-by: landlock = denied

import sys

try:
    with open(sys.argv[1]) as secret:
        sys.exit(42 if "secret" in secret.read() else 3)
except OSError:
    sys.exit(0)
