# attack: lists the processes of the host
# stopped-by: sandbox = denied
# control: native

import os
import sys

pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
sys.exit(42 if set(pids) - {1, os.getpid()} else 0)
