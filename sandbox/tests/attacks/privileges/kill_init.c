// attack: kills the sandbox's init, which alone could report what it did
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

// Natively the victim is an ordinary process.
int main(void) {
  pid_t victim = getppid() == 1 ? 1 : fork();
  if (victim == 0) {
    pause();
  }
  for (int number = 1; number < 65; number++) {
    if (number != SIGCHLD) {
      kill(victim, number);
    }
  }
  sleep_ms(100);
  // With init the whole sandbox would have died.
  return verdict(victim != 1 && waitpid(victim, NULL, WNOHANG) == victim);
}
