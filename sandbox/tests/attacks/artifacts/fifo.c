// attack: a result that blocks who opens it
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  if (mkfifo("out", 0644) != 0) {
    exit(BROKEN);
  }
}
