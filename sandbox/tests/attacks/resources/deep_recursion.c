// attack: a deeper stack than it may have
// run: --stack 1M
// stopped-by: rlimits = signal SIGSEGV
#include "attack.h"

static int deeper(int depth) {
  volatile char page[4096];
  page[0] = (char)depth;
  return depth == 0 ? page[0] : deeper(depth - 1) + page[0];
}

int main(void) {
  deeper(1000);
  return SUCCEEDED;
}
