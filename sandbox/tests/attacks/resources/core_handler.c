// attack: has the host start its crash handler, as root, by crashing; only a limit of 1 byte
// prevents
// that (core(5))
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) {
  struct rlimit core;
  getrlimit(RLIMIT_CORE, &core);
  return verdict(core.rlim_cur != 1);
}
