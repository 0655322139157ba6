// attack: an address of the kernel, to make the next attack easier
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  unsigned long address = 0;
  FILE *symbols = fopen("/proc/kallsyms", "r");
  return verdict(symbols && fscanf(symbols, "%lx", &address) == 1 && address != 0);
}
