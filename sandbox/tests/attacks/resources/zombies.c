// attack: children that are dead but never waited for
// run: --processes 16
// stopped-by: pids_limit = denied
#include "attack.h"

int main(void) {
  for (int i = 0; i < 64; i++) {
    pid_t child = fork();
    if (child < 0) {
      return DENIED;
    }
    if (child == 0) {
      _exit(0);
    }
  }
  return SUCCEEDED;
}
