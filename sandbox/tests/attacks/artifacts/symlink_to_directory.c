// attack: a result whose directory is a symbolic link out of the box
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  if (symlink("/etc", "out") != 0) {
    exit(BROKEN);
  }
}
