// attack: makes a terminal of its own beside the one it was given, as often as the host's number of
// terminals allows, with every right that it could have inside
// stopped-by: sandbox = denied
// without: landlock seccomp capabilities
// run: --pty 24x80
// control: native
#include "attack.h"

int main(void) {
  const char *multiplexers[] = {"/dev/ptmx", "/dev/pts/ptmx"};
  int opened = 0;
  for (size_t i = 0; i < sizeof multiplexers / sizeof *multiplexers; i++) {
    opened += open(multiplexers[i], O_RDWR | O_NOCTTY) >= 0;
    opened += open(multiplexers[i], O_RDONLY | O_NOCTTY) >= 0;
  }
  return verdict(opened > 0);
}
