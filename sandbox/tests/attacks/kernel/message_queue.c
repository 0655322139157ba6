// attack: System V messages, with which exploits lay out the kernel's heap
// stopped-by: seccomp = denied
#include "attack.h"

#include <sys/msg.h>

int main(void) { return verdict(msgget(IPC_PRIVATE, IPC_CREAT | 0600) >= 0); }
