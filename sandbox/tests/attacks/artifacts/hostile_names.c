// attack: results whose names are not text
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
  const char *names[] = {"out\xff\xfe", "out\xed\xa0\x80", "out\xc0\xafx"};
  for (int i = 0; i < 3; i++) {
    close(open(names[i], O_WRONLY | O_CREAT, 0644));
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
