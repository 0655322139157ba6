// attack: gives pages of memory to a pipe and changes them afterwards
// stopped-by: seccomp = denied
#include "attack.h"

#include <sys/uio.h>

int main(void) {
  int ends[2];
  struct iovec page = {hog(4096), 4096};
  return verdict(pipe(ends) == 0 && vmsplice(ends[1], &page, 1, 0) > 0);
}
