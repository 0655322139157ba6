// attack: reads the environment and command line of PID 1
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  const char *files[] = {"/proc/1/environ", "/proc/1/cmdline", "/proc/1/maps", "/proc/1/mountinfo"};
  char byte;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    int file = open(files[i], O_RDONLY);
    if (file >= 0 && read(file, &byte, 1) == 1) {
      return SUCCEEDED;
    }
  }
  return DENIED;
}
