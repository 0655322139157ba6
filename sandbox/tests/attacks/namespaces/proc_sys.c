// attack: opens settings of the kernel for writing
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  int a = open("/proc/sys/kernel/core_pattern", O_WRONLY);
  int b = open("/proc/sysrq-trigger", O_WRONLY);
  return verdict(a >= 0 || b >= 0);
}
