// attack: calls the kernel through its 32-bit door, where all numbers mean something else
// stopped-by: seccomp = violation i386:getpid
#include "attack.h"

int main(void) {
  long answer = 20;
  __asm__ volatile("int $0x80" : "+a"(answer) : : "memory", "r8", "r9", "r10", "r11");
  return verdict(answer > 0);
}
