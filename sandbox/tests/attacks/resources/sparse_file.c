// attack: a file that claims to be huge
// stopped-by: rlimits = signal SIGXFSZ
#include "attack.h"

int main(void) {
  int file = open("file", O_WRONLY | O_CREAT, 0600);
  return verdict(ftruncate(file, (off_t)1 << 40) == 0);
}
