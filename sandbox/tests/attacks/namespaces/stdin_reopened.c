// attack: opens its input again, for writing, through /proc/self/fd; another test may have the same
// stdin: file
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  int again = open("/proc/self/fd/0", O_RDWR);
  return verdict(again >= 0 && write(again, "x", 1) == 1);
}
