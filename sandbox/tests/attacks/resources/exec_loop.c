// attack: replaces itself again and again, so that no program of it is old
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

int main(int argc, char **argv) {
  int round = argc == 2 ? atoi(argv[1]) : 0;
  if (round == 30) {
    return SUCCEEDED;
  }
  burn(CLOCK_PROCESS_CPUTIME_ID, now(CLOCK_PROCESS_CPUTIME_ID) > 1.5 ? 0 : 0.05);
  char next[16];
  snprintf(next, sizeof next, "%d", round + 1);
  execl(argv[0], argv[0], next, NULL);
  return BROKEN;
}
