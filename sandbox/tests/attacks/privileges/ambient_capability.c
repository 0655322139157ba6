// attack: keeps a capability over execve by making it ambient
// stopped-by: seccomp = denied
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) { return verdict(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 5, 0, 0) == 0); }
