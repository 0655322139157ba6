// attack: memory as the contents of pipes
// run: --memory 32M --open-files 900
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  static char block[65536];
  size_t filled = 0;
  for (int i = 0; i < 400; i++) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0) {
      return BROKEN;
    }
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    for (ssize_t n; (n = write(ends[1], block, sizeof block)) > 0;) {
      filled += (size_t)n;
    }
  }
  return verdict(filled > 40 << 20);
}
