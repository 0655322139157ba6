// attack: memory that not even the kernel can look into. The control shows only that nothing else
// ends the program: kernels switch it off
// stopped-by: seccomp = violation memfd_secret
#include "attack.h"

int main(void) {
  syscall(SYS_memfd_secret, 0);
  return SUCCEEDED;
}
