// attack: leaves a child behind that goes on writing when the program has ended
// stopped-by: sandbox = denied
// control: native
// control-expect: left-over
#include "attack.h"

int main(void) {
  if (fork() == 0) {
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 200; i++) {
      if (write(1, "still here", 10) < 0) {
        sleep_ms(1);
      }
      sleep_ms(10);
    }
    _exit(0);
  }
  return DENIED;
}
