// attack: lets a child run out of memory and goes on as if nothing had happened
// run: --memory 32M --disk 256M --file-size 256M --wall-time 20s --cpu-time 10s
// stopped-by: memory_limit = memory_limit
#include "attack.h"

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    hog(96 << 20);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  sleep_ms(300);
  return SUCCEEDED;
}
