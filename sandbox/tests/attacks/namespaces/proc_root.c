// attack: reaches the host's files through /proc/<pid>/root of the process that started it
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/root/etc", getppid());
  return verdict(open(path, O_RDONLY) >= 0);
}
