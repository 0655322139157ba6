// attack: more output on stderr than it may give
// run: --output 64K
// stopped-by: sandbox = output_limit
// control: flags --output 64M
#include "attack.h"

int main(void) {
  static char block[65536];
  for (int i = 0; i < 64; i++) {
    if (write(2, block, sizeof block) != (ssize_t)sizeof block) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
