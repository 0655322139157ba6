// attack: joins the namespaces of the process that started it
// stopped-by: seccomp = violation setns
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  int parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
  return verdict(parent >= 0 && setns(parent, CLONE_NEWUTS | CLONE_NEWNET) == 0);
}
