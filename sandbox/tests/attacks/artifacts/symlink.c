// attack: a result that is a symbolic link to a file of the host
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  if (symlink("/etc/shadow", "out") != 0 || symlink("/etc/hostname", "out2") != 0) {
    exit(BROKEN);
  }
}
