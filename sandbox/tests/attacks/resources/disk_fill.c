// attack: more bytes in files than it may have
// run: --disk 16M --memory 512M
// stopped-by: disk_limit = denied
#include "attack.h"

// In both of the directories, which share one limit.
int main(void) {
  static char block[1 << 20];
  for (int i = 0; i < 24; i++) {
    char path[32];
    snprintf(path, sizeof path, "%s/file%d", i % 2 ? "/tmp" : "/box", i);
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    if (write(file, block, sizeof block) != (ssize_t)sizeof block) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
