// attack: waits for what never comes, in a pipe of its own
// run: --wall-time 700ms
// stopped-by: sandbox = wall_time_limit
// control: flags --wall-time 60s
#include "attack.h"

int main(void) {
  int ends[2];
  char c;
  alarm(2);
  signal(SIGALRM, SIG_DFL);
  if (pipe(ends) != 0) {
    return BROKEN;
  }
  if (fork() == 0) {
    sleep_ms(2000);
    _exit(write(ends[1], "x", 1) != 1);
  }
  alarm(0);
  return verdict(read(ends[0], &c, 1) == 1);
}
