// attack: the same through /proc/<pid>/mem, maps and environ
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  const char *files[] = {"mem", "maps", "environ", "fd/0", "auxv", "stack"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/%s", getppid(), files[i]);
    int file = open(path, O_RDONLY | O_NONBLOCK);
    if (file >= 0 && (read(file, &byte, 1) > 0 || i == 0)) {
      return SUCCEEDED;
    }
  }
  return DENIED;
}
