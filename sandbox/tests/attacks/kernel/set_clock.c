// attack: sets the host's clock; the time it asks for is not one
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/timex.h>

int main(void) {
  struct timex nothing = {.modes = ADJ_TICK, .tick = 1};
  return verdict(clock_adjtime(CLOCK_REALTIME, &nothing) != -1 || errno == EINVAL);
}
