# attack: lists the users of the host
# stopped-by: rootfs = denied

import sys

with open("/etc/passwd") as passwd:
    names = {line.split(":")[0] for line in passwd}
sys.exit(42 if names - {"root", "sandbox"} else 0)
