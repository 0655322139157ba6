// attack: changes the limit that keeps the host's crash handler out
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  struct rlimit none = {0, 0};
  return verdict(setrlimit(RLIMIT_CORE, &none) == 0 || syscall(SYS_setrlimit, RLIMIT_CORE, &none) == 0 ||
                 syscall(SYS_prlimit64, 0, 0x100000000 | RLIMIT_CORE, &none, NULL) == 0);
}
