// attack: userfaultfd, with which exploits hold the kernel still
// stopped-by: seccomp = violation userfaultfd
#include "attack.h"

int main(void) {
  enum { USER_MODE_ONLY = 1 };
  return verdict(syscall(SYS_userfaultfd, USER_MODE_ONLY) >= 0);
}
