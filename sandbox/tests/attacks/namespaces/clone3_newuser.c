// attack: the same by clone3, whose flags a filter cannot see
// stopped-by: seccomp = denied
// stopped-by: nested_namespaces = denied
#include "attack.h"

#include <linux/sched.h>

int main(void) {
  struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  long child = syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) {
    _exit(0);
  }
  return verdict(child > 0);
}
