# attack: learns its place in the host's cgroup tree, and so the service's name and the job's number
# stopped-by: cgroup_namespace = denied

import sys

with open("/proc/self/cgroup") as groups:
    paths = [line.rstrip("\n").split(":", 2)[2] for line in groups]
sys.exit(42 if any("brig" in path or path.startswith("/..") for path in paths) else 0)
