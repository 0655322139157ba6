// attack: more files than it may have
// run: --inodes 100
// stopped-by: disk_limit = denied
#include "attack.h"

int main(void) {
  for (int i = 0; i < 200; i++) {
    char path[32];
    snprintf(path, sizeof path, "/tmp/%d", i);
    if (symlink("x", path) != 0) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
