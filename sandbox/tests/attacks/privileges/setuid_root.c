// attack: becomes root
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(setuid(0) == 0 || setresgid(0, 0, 0) == 0 || setgid(0) == 0); }
