// attack: a second process, under a policy for programs of one thread
// policy: strict
// stopped-by: seccomp = violation clone
#include "attack.h"

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    _exit(0);
  }
  return verdict(child > 0);
}
