// attack: looks for the other side of its terminal among its descriptors, to read what is typed and
// to type. The control opens one itself, to show that it would be found
// stopped-by: sandbox = denied
// without: seccomp
// run: --pty 24x80
// control: native
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  if (!isatty(0)) {
    open("/dev/ptmx", O_RDWR | O_NOCTTY);
  }
  int found = 0;
  for (int fd = 0; fd < 4096; fd++) {
    int number;
    found += ioctl(fd, TIOCGPTN, &number) == 0;
  }
  return verdict(found > 0);
}
