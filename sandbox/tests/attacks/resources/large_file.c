// attack: a file larger than it may be
// run: --file-size 1M
// stopped-by: rlimits = signal SIGXFSZ
#include "attack.h"

int main(void) {
  static char block[4 << 20];
  int file = open("file", O_WRONLY | O_CREAT, 0600);
  return verdict(write(file, block, sizeof block) > 1 << 20 || write(file, block, sizeof block) > 0);
}
