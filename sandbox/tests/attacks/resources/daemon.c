// attack: a daemon that stays when the program has ended
// stopped-by: sandbox = denied
// control: native
// control-expect: left-over
#include "attack.h"

int main(void) {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      signal(SIGHUP, SIG_IGN);
      signal(SIGTERM, SIG_IGN);
      if (chdir("/") == 0) {
        sleep_ms(20000);
      }
    }
    _exit(0);
  }
  wait(NULL);
  return DENIED;
}
