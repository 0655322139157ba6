// attack: TIOCSETD, another line discipline for the program's terminal (N_NULL, which every kernel
// has; others are modules that the kernel would load)
// stopped-by: seccomp = violation ioctl
// run: --pty 24x80
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  int n_null = 27;
  return verdict(ioctl(0, TIOCSETD, &n_null) == 0);
}
