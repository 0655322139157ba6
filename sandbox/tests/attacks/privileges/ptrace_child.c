// attack: traces a child, and through it reaches calls that no filter has seen
// stopped-by: seccomp = violation ptrace
#include "attack.h"

#include <sys/ptrace.h>

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    pause();
  }
  int traced = ptrace(PTRACE_SEIZE, child, 0, 0) == 0;
  kill(child, SIGKILL);
  return verdict(traced);
}
