// attack: reads /proc under a policy without one; the control's policy has one
// policy: strict
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(open("/proc/self/status", O_RDONLY) >= 0); }
