// attack: memory as page tables: one page each in many far apart places
// run: --memory 32M
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  const size_t step = 2 << 20, count = 8192;
  char *places = mmap(NULL, step * count, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (places == MAP_FAILED) {
    return BROKEN;
  }
  // Reading maps the one page of zeros that all share, so that only the tables cost.
  for (size_t i = 0; i < count * 2; i++) {
    (void)*(volatile char *)(places + i % count * step);
  }
  return SUCCEEDED;
}
