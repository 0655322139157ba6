// attack: a result that is a directory
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  if (mkdir("out", 0755) != 0) {
    exit(BROKEN);
  }
}
