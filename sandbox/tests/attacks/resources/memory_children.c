// attack: memory in small pieces, in many children
// run: --memory 32M --disk 256M --file-size 256M --wall-time 20s --cpu-time 10s
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  for (int i = 0; i < 12; i++) {
    if (fork() == 0) {
      hog(8 << 20);
      pause();
    }
  }
  sleep_ms(1500);
  return SUCCEEDED;
}
