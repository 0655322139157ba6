// attack: a result of 1 TiB that takes no space
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// without: rlimits
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  int file = open("out", O_WRONLY | O_CREAT, 0644);
  if (ftruncate(file, (off_t)1 << 40) != 0) {
    exit(BROKEN);
  }
}
