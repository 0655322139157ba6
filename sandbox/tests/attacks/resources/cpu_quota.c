// attack: keeps more CPUs busy than it may
// run: --cpus 0.1 --cpu-time 10s --wall-time 30s
// stopped-by: cpu_quota = denied
#include "attack.h"

int main(void) {
  double start = now(CLOCK_MONOTONIC);
  burn(CLOCK_PROCESS_CPUTIME_ID, 0.3);
  return verdict(0.3 / (now(CLOCK_MONOTONIC) - start) > 0.15);
}
