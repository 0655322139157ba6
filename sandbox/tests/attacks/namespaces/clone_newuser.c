// attack: a child in a nested user namespace, by flags of clone
// stopped-by: seccomp = violation clone
// stopped-by: nested_namespaces = denied
#include "attack.h"

int main(void) {
  long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    _exit(0);
  }
  return verdict(child > 0);
}
