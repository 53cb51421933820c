// The host's end of the console benchmarks, on a pty's slave: `terminal <pty> flood <MB>` reads a flood and checks every
// word of it, `terminal <pty> echo <count>` times single keystrokes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static int ascending(const void *a, const void *b) { double d = *(const double *)a - *(const double *)b; return (d > 0) - (d < 0); }
static void drain(int fd) { char b[4096]; struct pollfd p = {fd, POLLIN, 0}; while (poll(&p, 1, 200) > 0 && read(fd, b, sizeof b) > 0); }

static int flood(int fd, long mb) {
  static unsigned char buffer[65536 + 4];
  char command[32];
  const long total = mb * 1000000 / 65536 * 65536;
  long got = 0, good = -1; // bytes read, and how many of them before the first that was wrong
  size_t kept = 0;
  unsigned word = 0;
  if (write(fd, command, snprintf(command, sizeof command, "f%ld\n", mb)) < 0) return 1;
  double first = 0, last = 0;
  struct pollfd p = {fd, POLLIN, 0};
  while (got < total && poll(&p, 1, 5000) > 0) {
    ssize_t n = read(fd, buffer + kept, 65536);
    if (n <= 0) break;
    last = now();
    if (got == 0) first = last;
    got += n;
    size_t have = kept + n, at = 0;
    for (; at + 4 <= have; at += 4, word++) if (good < 0 && memcmp(buffer + at, &word, 4) != 0) good = got - (long)(have - at);
    kept = have - at;
    memmove(buffer, buffer + at, kept);
  }
  if (good >= 0) fprintf(stderr, "%ld of %ld bytes came, those from %ld on are wrong\n", got, total, good);
  printf("FIGURE console_flood %.2f MB/s\nFIGURE console_lost %ld bytes\n", got / 1e6 / (last - first), got < total ? total - got : good < 0 ? 0 : total - good);
  return 0;
}

static int echo(int fd, int count) {
  double *times = calloc(count, sizeof *times);
  char c = 'e';
  if (!times || write(fd, &c, 1) != 1) return 1;
  drain(fd);
  for (int i = 0; i < count; i++) {
    usleep(20000 + i * 7919 % 30000);
    struct pollfd p = {fd, POLLIN, 0};
    c = 'A' + i % 26;
    double start = now();
    if (write(fd, &c, 1) != 1 || poll(&p, 1, 10000) <= 0 || read(fd, &c, 1) != 1) return fprintf(stderr, "no echo\n"), 1;
    times[i] = (now() - start) * 1e3;
  }
  c = 'q';
  if (write(fd, &c, 1) != 1) return 1;
  qsort(times, count, sizeof *times, ascending);
  printf("FIGURE echo_median %.3f ms\nFIGURE echo_p95 %.3f ms\n", times[count / 2], times[count * 95 / 100]);
  return 0;
}

int main(int argc, char **argv) {
  int fd = argc > 2 ? open(argv[1], O_RDWR | O_NOCTTY) : -1;
  struct termios t;
  if (fd < 0 || tcgetattr(fd, &t)) return perror("terminal"), 1;
  cfmakeraw(&t);
  tcsetattr(fd, TCSANOW, &t);
  drain(fd);
  if (!strcmp(argv[2], "flood")) return flood(fd, atol(argv[3]));
  if (!strcmp(argv[2], "echo")) return echo(fd, atoi(argv[3]));
  return 2;
}
