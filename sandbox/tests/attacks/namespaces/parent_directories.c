// attack: walks up from the working directory until it is at the host's root
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  char path[300] = "";
  for (int i = 0; i < 90; i++) {
    strcat(path, "../");
  }
  strcat(path, "root");
  return verdict(access(path, F_OK) == 0);
}
