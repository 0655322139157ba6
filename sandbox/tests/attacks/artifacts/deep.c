// attack: a result in a directory so deep that no path reaches it
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  for (int i = 0; i < 2000; i++) {
    if (mkdir("out", 0700) != 0 || chdir("out") != 0) {
      exit(BROKEN);
    }
  }
  regular();
}
