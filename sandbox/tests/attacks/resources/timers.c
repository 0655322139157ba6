// attack: many timers, each of which is kernel memory and interrupts
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) {
  int made = 0;
  struct sigevent none = {.sigev_notify = SIGEV_NONE};
  timer_t timer;
  while (made < 4000 && timer_create(CLOCK_MONOTONIC, &none, &timer) == 0) {
    made++;
  }
  return verdict(made >= 4000);
}
