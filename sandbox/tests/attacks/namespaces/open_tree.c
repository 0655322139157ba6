// attack: a private copy of a mount, by open_tree
// stopped-by: seccomp = violation open_tree
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) { return verdict(syscall(SYS_open_tree, AT_FDCWD, "/usr", OPEN_TREE_CLONE) >= 0); }
