// attack: CPU time in a chain of short processes, none of which used much
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

int main(void) {
  for (int i = 0; i < 30; i++) {
    pid_t child = fork();
    if (child == 0) {
      burn(CLOCK_PROCESS_CPUTIME_ID, 0.05);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  return SUCCEEDED;
}
