// attack: looks for a capability that a set-uid program could still give it
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) {
  for (int cap = 0; cap < 64; cap++) {
    if (prctl(PR_CAPBSET_READ, cap) == 1) {
      return SUCCEEDED;
    }
  }
  return DENIED;
}
