// attack: calls numbers that no kernel has, until something happens
// policy: strict
// stopped-by: seccomp = violation #5000
#include "attack.h"

int main(void) {
  syscall(5000);
  return SUCCEEDED;
}
