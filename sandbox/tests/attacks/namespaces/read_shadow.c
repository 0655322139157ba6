// attack: reads the host's passwords
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(open("/etc/shadow", O_RDONLY) >= 0); }
