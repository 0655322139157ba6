// attack: a negative number, which some filters compare as signed; it has the bit of x32
// policy: strict
// stopped-by: seccomp = violation x32:#-2
#include "attack.h"

int main(void) {
  syscall(-2);
  return SUCCEEDED;
}
