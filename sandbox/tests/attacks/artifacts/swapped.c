// attack: leaves a process behind that swaps the result for a link while it is read
// collect: out*
// collected: out
// stopped-by: sandbox = denied
// control: native
// control-expect: left-over
#include "attack.h"

int main(void) {
  if (fork() == 0) {
    for (;;) {
      close(open("out", O_WRONLY | O_CREAT, 0644));
      unlink("out");
      if (symlink("/etc/shadow", "out") != 0) {
        _exit(BROKEN);
      }
      unlink("out");
    }
  }
  sleep_ms(50);
  return DENIED;
}
