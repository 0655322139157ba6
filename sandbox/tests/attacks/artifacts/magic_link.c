// attack: a result that is a link to a descriptor
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  if (symlink("/proc/self/fd/0", "out") != 0 || symlink("/proc/1/root/etc/shadow", "out1") != 0) {
    exit(BROKEN);
  }
}
