# attack: looks for what an earlier program left behind
# stopped-by: sandbox = denied
# control: native

# Natively the files of the test itself stand for those of another job.
import os
import sys

left = [name for name in os.listdir(".") if name != "attack"] + os.listdir("/tmp") + os.listdir("/dev/shm")
sys.exit(42 if left else 0)
