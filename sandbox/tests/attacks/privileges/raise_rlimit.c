// attack: raises a resource limit
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) {
  struct rlimit more = {900, 900};
  return verdict(setrlimit(RLIMIT_NOFILE, &more) == 0);
}
