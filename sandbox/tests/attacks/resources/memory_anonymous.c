// attack: more memory than it may have
// run: --memory 32M --disk 256M --file-size 256M --wall-time 20s --cpu-time 10s
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  hog(96 << 20);
  return SUCCEEDED;
}
