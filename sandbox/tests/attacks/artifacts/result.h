// What attacks on bringing files back share: `hostile` makes a result that must not come back, and in the
// control, with the argument `regular`, it is an ordinary file that must.
#include "attack.h"

static void hostile(void);

static void regular(void) {
  int file = open("out", O_WRONLY | O_CREAT, 0644);
  if (write(file, "result", 6) != 6) {
    exit(BROKEN);
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "regular") == 0) {
    regular();
  } else {
    hostile();
  }
  return DENIED;
}
