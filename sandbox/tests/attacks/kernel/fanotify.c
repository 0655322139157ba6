// attack: watches files of the host by fanotify
// stopped-by: seccomp = violation fanotify_init
#include "attack.h"

int main(void) {
  enum { REPORT_FID = 0x200 };
  return verdict(syscall(SYS_fanotify_init, REPORT_FID, O_RDONLY) >= 0);
}
