// attack: enters a namespace through its file; where its own can be entered, so can another's
// stopped-by: seccomp = violation setns
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) {
  int ns = open("/proc/self/ns/uts", O_RDONLY);
  return verdict(ns >= 0 && setns(ns, CLONE_NEWUTS) == 0);
}
