// attack: mounts a second /proc, without the options that hide things
// stopped-by: seccomp = violation mount
// stopped-by: capabilities = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) {
  mkdir("proc", 0755);
  return verdict(mount("none", "proc", "proc", 0, "") == 0 && access("proc/interrupts", F_OK) == 0);
}
