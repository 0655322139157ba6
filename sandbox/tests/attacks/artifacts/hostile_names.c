// attack: results whose names are not text
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  const char *names[] = {"out\xff\xfe", "out\xed\xa0\x80", "out\xc0\xafx"};
  for (int i = 0; i < 3; i++) {
    close(open(names[i], O_WRONLY | O_CREAT, 0644));
  }
}
