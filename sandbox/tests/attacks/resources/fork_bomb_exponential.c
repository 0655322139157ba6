// attack: processes that all fork; the control stops at depth 6
// run: --processes 16 --wall-time 3s
// stopped-by: pids_limit = denied
#include "attack.h"

// The first process counts those that got to the end, by a pipe that has room for all.
int main(void) {
  int ends[2];
  if (pipe(ends) != 0) {
    return BROKEN;
  }
  pid_t first = getpid();
  for (int i = 0; i < 6; i++) {
    fork();
  }
  if (getpid() != first) {
    if (write(ends[1], "x", 1) != 1) {
      _exit(BROKEN);
    }
    pause();
  }
  sleep_ms(1500);
  char names[100];
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return verdict(read(ends[0], names, sizeof names) > 32);
}
