// attack: administration of the host's file systems
// stopped-by: seccomp = violation swapoff
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  syscall(SYS_swapoff, "/nonexistent");
  return verdict(errno == ENOENT);
}
