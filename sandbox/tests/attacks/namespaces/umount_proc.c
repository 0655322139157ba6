// attack: takes the sandbox's /proc away to see the one below it
// stopped-by: seccomp = violation umount2
// stopped-by: capabilities = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) { return verdict(umount2("/proc", MNT_DETACH) == 0); }
