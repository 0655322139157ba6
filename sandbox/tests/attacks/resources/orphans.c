// attack: children that outlive their parents, so that nobody of it waits for them
// run: --processes 16
// stopped-by: pids_limit = denied
#include "attack.h"

int main(void) {
  for (int i = 0; i < 48; i++) {
    pid_t child = fork();
    if (child == 0) {
      pid_t orphan = fork();
      if (orphan == 0) {
        pause();
      }
      _exit(orphan < 0);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
