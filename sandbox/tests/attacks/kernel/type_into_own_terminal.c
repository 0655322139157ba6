// attack: TIOCSTI, typing into the terminal that the program was given. A kernel that has
// dev.tty.legacy_tiocsti off answers EIO when the request got through
// stopped-by: seccomp = violation ioctl
// run: --pty 24x80
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  char c = 'x';
  int done = ioctl(0, TIOCSTI, &c);
  return verdict(done == 0 || errno == EIO);
}
