// attack: takes a descriptor of the process that started it
// stopped-by: seccomp = violation pidfd_getfd
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  int parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
  return verdict(syscall(SYS_pidfd_getfd, parent, 1, 0) >= 0);
}
