// attack: TIOCSTI, typing into a terminal, with bits that the kernel drops. Without a terminal the
// control can only show that the request gets to the driver
// stopped-by: seccomp = violation ioctl
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  char c = 'x';
  syscall(SYS_ioctl, 0, 0x100000000 | TIOCSTI, &c);
  return verdict(errno == ENOTTY);
}
