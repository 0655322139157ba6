// attack: more CPU time than it may have
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

int main(void) {
  burn(CLOCK_PROCESS_CPUTIME_ID, 1.5);
  return SUCCEEDED;
}
