// attack: reads the host's /sys
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(open("/sys/kernel", O_RDONLY | O_DIRECTORY) >= 0); }
