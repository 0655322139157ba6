// attack: uses CPU time with every signal ignored and blocked
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (int number = 1; number < 65; number++) {
    signal(number, SIG_IGN);
  }
  burn(CLOCK_PROCESS_CPUTIME_ID, 1.5);
  return SUCCEEDED;
}
