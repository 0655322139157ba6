// attack: finds out which of the host's files others have used, by reading only what is in memory
// stopped-by: seccomp = denied
#include "attack.h"

#include <sys/uio.h>

int main(void) {
  char byte;
  struct iovec one = {&byte, 1};
  long n = syscall(SYS_preadv2, open("/usr/bin/env", O_RDONLY), &one, 1, 0, 0, RWF_NOWAIT);
  // Not every file system can tell, but the question got to it.
  return verdict(n == 1 || errno == EAGAIN || errno == EOPNOTSUPP);
}
