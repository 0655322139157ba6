// attack: mounts a file system without a size limit
// stopped-by: seccomp = violation mount
// stopped-by: capabilities = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) {
  mkdir("mine", 0755);
  return verdict(mount("none", "mine", "tmpfs", 0, "") == 0);
}
