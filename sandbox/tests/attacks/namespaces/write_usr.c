// attack: plants a file among the host's programs
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  char path[64];
  snprintf(path, sizeof path, "/usr/bin/brig-attack-%d", getpid());
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  unlink(path);
  return verdict(file >= 0);
}
