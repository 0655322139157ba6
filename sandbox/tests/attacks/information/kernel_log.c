// attack: reads the kernel's log
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  enum { READ_ALL = 3 };
  char text[64];
  return verdict(syscall(SYS_syslog, READ_ALL, text, sizeof text) >= 0);
}
