// attack: memory as unread messages between sockets
// run: --memory 32M --open-files 900
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  static char block[32768];
  size_t filled = 0;
  for (int i = 0; i < 400; i++) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
      return BROKEN;
    }
    for (ssize_t n; (n = write(ends[1], block, sizeof block)) > 0;) {
      filled += (size_t)n;
    }
  }
  return verdict(filled > 40 << 20);
}
