// attack: reads what /etc says about the host
// stopped-by: rootfs = denied
#include "attack.h"

int main(void) { return verdict(open("/etc/debian_version", O_RDONLY) >= 0); }
