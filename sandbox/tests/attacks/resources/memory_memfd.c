// attack: memory as files that have no name
// policy: jvm
// run: --memory 32M --disk 256M --file-size 256M --wall-time 20s --cpu-time 10s
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  static char block[1 << 20];
  int file = memfd_create("hog", 0);
  for (int i = 0; i < 96; i++) {
    if (write(file, block, sizeof block) != (ssize_t)sizeof block) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
