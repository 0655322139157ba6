# attack: reads secrets that its starter has in the environment
# stopped-by: sandbox = denied
# control: native

import os
import sys

sys.exit(42 if "BRIG_HOST_SECRET" in os.environ else 0)
