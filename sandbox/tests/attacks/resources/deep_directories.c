// attack: directories so deep that no path reaches the end, to be cleaned up by somebody else
// run: --inodes 2000
// stopped-by: disk_limit = denied
#include "attack.h"

int main(void) {
  for (int i = 0; i < 3000; i++) {
    if (mkdir("d", 0700) != 0 || chdir("d") != 0) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
