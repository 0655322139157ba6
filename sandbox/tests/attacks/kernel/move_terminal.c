// attack: TIOCSCTTY, taking the program's terminal into another session than the one it ends with
// stopped-by: seccomp = denied
// run: --pty 24x80
#include "attack.h"

#include <sys/ioctl.h>

int main(void) {
  signal(SIGHUP, SIG_IGN);
  ioctl(0, TIOCNOTTY);
  pid_t child = fork();
  if (child == 0) {
    setsid();
    _exit(verdict(ioctl(0, TIOCSCTTY, 0) == 0));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}
