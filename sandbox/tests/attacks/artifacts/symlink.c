// attack: a result that is a symbolic link to a file of the host
// collect: out*
// args: hostile
// stopped-by: sandbox = denied
// control: args regular
// control-collected: out
#include "attack.h"

static void regular(void) {
  int file = open("out", O_WRONLY | O_CREAT, 0644);
  if (write(file, "result", 6) != 6) {
    exit(BROKEN);
  }
}

static void hostile(void) {
  if (symlink("/etc/shadow", "out") != 0 || symlink("/etc/hostname", "out2") != 0) {
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
