// attack: memory as a shared mapping
// run: --memory 32M --disk 256M --file-size 256M --wall-time 20s --cpu-time 10s
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  char *memory = mmap(NULL, 96 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return DENIED;
  }
  for (size_t i = 0; i < 96 << 20; i += 4096) {
    memory[i] = 1;
  }
  return SUCCEEDED;
}
