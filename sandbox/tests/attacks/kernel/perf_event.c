// attack: opens a performance counter, for side channels or for the bugs behind it
// stopped-by: seccomp = violation perf_event_open
// control: native
#include "attack.h"

#include <linux/perf_event.h>

int main(void) {
  struct perf_event_attr attr = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1, .exclude_hv = 1};
  return verdict(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0);
}
