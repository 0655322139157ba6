// attack: kills all that it may; natively this would be the end of the machine, so the control only
// asks
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/utsname.h>

int main(void) {
  struct utsname name;
  uname(&name);
  if (getppid() == 1 && getuid() == 1000 && strcmp(name.nodename, "sandbox") == 0) {
    kill(-1, SIGKILL);
    sleep_ms(50);
    return DENIED;
  }
  return verdict(kill(-1, 0) == 0);
}
