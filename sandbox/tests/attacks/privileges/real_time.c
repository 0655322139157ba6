// attack: real-time scheduling, which starves everybody else
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

// A host with group scheduling of real time may refuse even root: SCHED_DEADLINE is another way.
int main(void) {
  struct sched_param param = {.sched_priority = 1};
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } deadline = {sizeof deadline, 6, 0, 0, 0, 1000000, 1000000000, 1000000000};
  return verdict(sched_setscheduler(0, SCHED_RR, &param) == 0 || syscall(SYS_sched_setattr, 0, &deadline, 0) == 0);
}
