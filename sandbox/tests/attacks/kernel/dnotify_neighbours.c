// attack: the same by the older fcntl(F_NOTIFY), hidden behind bits that the kernel drops
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  int dir = open("/usr/bin", O_RDONLY | O_DIRECTORY);
  signal(SIGIO, SIG_IGN);
  int plain = syscall(SYS_fcntl, dir, F_NOTIFY, DN_ACCESS) == 0;
  int hidden = syscall(SYS_fcntl, dir, 0x100000000 | F_NOTIFY, DN_ACCESS) == 0;
  return verdict(plain || hidden);
}
