// attack: a result that is a socket
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "result.h"

static void hostile(void) {
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un name = {AF_UNIX, "out"};
  if (bind(s, (struct sockaddr *)&name, sizeof name) != 0) {
    exit(BROKEN);
  }
}
