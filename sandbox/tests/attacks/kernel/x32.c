// attack: calls through the x32 door: numbers of x86-64 with a bit set. The control shows only that
// nothing else ends the program: few kernels have that door
// stopped-by: seccomp = violation x32:getpid
#include "attack.h"

int main(void) {
  syscall(0x40000000 | SYS_getpid);
  return SUCCEEDED;
}
