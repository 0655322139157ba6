// attack: a result that its owner may not read
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  regular();
  chmod("out", 0);
  mkdir("out-dir", 0);
}
