// attack: root in a nested user namespace, to mount what it likes in a mount namespace of its own
// stopped-by: seccomp = violation unshare
// stopped-by: nested_namespaces = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return DENIED;
  }
  mkdir("mine", 0755);
  return verdict(mount("none", "mine", "tmpfs", 0, "") == 0);
}
