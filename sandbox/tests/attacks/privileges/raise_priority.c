// attack: puts itself before all other processes of the host
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(setpriority(PRIO_PROCESS, 0, -10) == 0); }
