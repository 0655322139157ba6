// attack: the kernel's table of symbols, to make the next attack easier
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  char line[256];
  FILE *symbols = fopen("/proc/kallsyms", "r");
  return verdict(symbols && fgets(line, sizeof line, symbols));
}
