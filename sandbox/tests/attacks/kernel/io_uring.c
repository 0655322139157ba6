// attack: an io_uring, whose operations no filter sees
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  char params[120] = {0};
  return verdict(syscall(SYS_io_uring_setup, 4, params) >= 0);
}
