# attack: looks at the sandbox's init in /proc
# stopped-by: proc_mask = denied

import os
import sys

sys.exit(42 if os.path.exists("/proc/1/status") else 0)
