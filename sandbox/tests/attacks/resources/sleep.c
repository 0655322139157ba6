// attack: sleeps and keeps the slot
// run: --wall-time 700ms
// stopped-by: sandbox = wall_time_limit
// control: flags --wall-time 60s
#include "attack.h"

int main(void) {
  sleep_ms(2000);
  return SUCCEEDED;
}
