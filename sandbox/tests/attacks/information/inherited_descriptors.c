// attack: finds a descriptor that somebody left open
// inherit: yes
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  for (int fd = 3; fd < 20000; fd++) {
    if (fcntl(fd, F_GETFD) != -1) {
      return SUCCEEDED;
    }
  }
  return DENIED;
}
