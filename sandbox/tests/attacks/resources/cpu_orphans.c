// attack: CPU time in processes that are no longer its children
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

int main(void) {
  for (int i = 0; i < 3; i++) {
    if (fork() == 0) {
      if (fork() == 0) {
        setsid();
        burn(CLOCK_PROCESS_CPUTIME_ID, 0.5);
      }
      _exit(0);
    }
    wait(NULL);
  }
  sleep_ms(2500);
  return SUCCEEDED;
}
