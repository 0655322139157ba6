# attack: finds out what is mounted where on the host
# stopped-by: sandbox = denied
# control: native

import sys

OWN = ("/usr", "/bin", "/sbin", "/lib", "/etc", "/box", "/tmp", "/proc", "/dev/")
with open("/proc/self/mountinfo") as mounts:
    points = [line.split()[4] for line in mounts]
foreign = [p for p in points if p != "/" and not p.startswith(OWN)]
options = "/dev/pts" in points or "/dev/shm" in points
sys.exit(42 if foreign or options else 0)
