// attack: stops itself; a stopped process uses no CPU time and gets no signal but one
// run: --wall-time 700ms
// stopped-by: sandbox = wall_time_limit
// control: flags --wall-time 60s
#include "attack.h"

int main(void) {
  pid_t me = getpid();
  if (fork() == 0) {
    sleep_ms(2000);
    kill(me, SIGCONT);
    _exit(0);
  }
  raise(SIGSTOP);
  return SUCCEEDED;
}
