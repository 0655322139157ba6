// attack: the classic way out of a chroot takes a chroot of one's own
// stopped-by: seccomp = violation chroot
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) {
  mkdir("jail", 0755);
  return verdict(chroot("jail") == 0);
}
