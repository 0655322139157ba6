// attack: makes the forbidden call in a child of a child, so that its first process could go on
// stopped-by: seccomp = violation ptrace
#include "attack.h"

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    if (fork() == 0) {
      syscall(SYS_ptrace, 0, 0, 0, 0);
      _exit(0);
    }
    _exit(0);
  }
  waitpid(child, NULL, 0);
  sleep_ms(1000);
  return SUCCEEDED;
}
