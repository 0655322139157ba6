// attack: reads the memory of the process that started it
// stopped-by: seccomp = violation process_vm_readv
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/uio.h>

// An address that is mapped in the parent: what it holds does not matter, EFAULT means "may read".
int main(void) {
  char buffer[8];
  struct iovec local = {buffer, sizeof buffer};
  struct iovec remote = {(void *)0x400000, sizeof buffer};
  ssize_t n = process_vm_readv(getppid(), &local, 1, &remote, 1, 0);
  return verdict(n >= 0 || errno == EFAULT);
}
