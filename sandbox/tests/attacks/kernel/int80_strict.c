// attack: opens a socket through the 32-bit door; the number is that of an allowed call
// policy: strict
// stopped-by: seccomp = violation i386:socket
#include "attack.h"

int main(void) {
  long answer = 359;
  __asm__ volatile("int $0x80" : "+a"(answer) : "b"(2), "c"(2), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  return verdict(answer >= 0);
}
