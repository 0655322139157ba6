// attack: a parent that the kernel holds until its vforked child is done, which sleeps
// run: --wall-time 700ms
// stopped-by: sandbox = wall_time_limit
// control: flags --wall-time 60s
#include "attack.h"

int main(void) {
  pid_t child = vfork();
  if (child == 0) {
    struct timespec t = {2, 0};
    syscall(SYS_nanosleep, &t, NULL);
    _exit(0);
  }
  return SUCCEEDED;
}
