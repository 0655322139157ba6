// attack: makes a device node of its own, that of the kernel's memory
// stopped-by: seccomp = violation mknodat
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/sysmacros.h>

int main(void) { return verdict(mknod("mem", S_IFCHR | 0600, makedev(1, 1)) == 0); }
