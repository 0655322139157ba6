// attack: TIOCLINUX, pasting into a console, with bits that the kernel drops. As the terminal is no
// console the control can only show that the request gets to the driver
// stopped-by: seccomp = violation ioctl
// run: --pty 24x80
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  char paste = 3;
  syscall(SYS_ioctl, 0, 0x100000000 | TIOCLINUX, &paste);
  return verdict(errno == ENOTTY);
}
