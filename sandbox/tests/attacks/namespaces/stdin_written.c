// attack: writes to its input by every way that does not need a new descriptor
// stdin: file
// policy: jvm
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

// The control opens the file anew, which shows that only the descriptor's mode is in the way.
int main(void) {
  char c = 'x';
  int tries = write(0, &c, 1) == 1;
  tries += pwrite(0, &c, 1, 0) == 1;
  tries += ftruncate(0, 0) == 0;
  tries += fallocate(0, 0, 0, 4096) == 0;
  tries += mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, 0, 0) != MAP_FAILED;
  tries += fchmod(0, 0666) == 0;
  return verdict(tries > 0);
}
