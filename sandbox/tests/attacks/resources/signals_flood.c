// attack: many pending signals, each of which is kernel memory
// stopped-by: rlimits = denied
#include "attack.h"

// Counts how many can be pending; a host allows many thousands.
int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  int pending = 0;
  while (pending < 4000 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) {
    pending++;
  }
  return verdict(pending >= 4000);
}
