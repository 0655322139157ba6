// attack: more open files than it may have
// run: --open-files 32
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) {
  for (int i = 0; i < 100; i++) {
    if (dup(0) < 0) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
