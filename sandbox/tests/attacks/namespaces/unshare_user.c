// attack: a user namespace of its own, in which it would have every capability
// stopped-by: seccomp = violation unshare
// stopped-by: nested_namespaces = denied
#include "attack.h"

int main(void) { return verdict(unshare(CLONE_NEWUSER) == 0); }
