// Small embedded-style work, as core benchmarks mix it: a linked list that is searched, reversed and sorted, products of
// small matrices, and a state machine that reads numbers, each result folded into one CRC.
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static uint32_t seed = 2463534242u;
static uint32_t next(void) { seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5; return seed; }

// CRC-16/CCITT, a bit at a time.
static uint16_t crc16(uint16_t crc, uint16_t value) {
  for (int bit = 0; bit < 16; bit++, value >>= 1) crc = (crc ^ value) & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  return crc;
}

enum { NODES = 400 };
typedef struct node { struct node *next; int16_t key, data; } node_t;
static node_t nodes[NODES];

static node_t *reverse(node_t *list) {
  node_t *done = 0;
  while (list) { node_t *rest = list->next; list->next = done; done = list; list = rest; }
  return done;
}

static int by_key(const node_t *a, const node_t *b) { return a->key - b->key; }
static int by_data(const node_t *a, const node_t *b) { return a->data - b->data; }

// Merge sort that splits a list by walking it at two speeds.
static node_t *sort(node_t *list, int (*order)(const node_t *, const node_t *)) {
  if (!list || !list->next) return list;
  node_t *slow = list, *fast = list->next;
  while (fast && fast->next) { slow = slow->next; fast = fast->next->next; }
  node_t *right = slow->next;
  slow->next = 0;
  node_t *left = sort(list, order), head, *tail = &head;
  right = sort(right, order);
  while (left && right) {
    node_t **from = order(left, right) <= 0 ? &left : &right;
    tail = tail->next = *from;
    *from = (*from)->next;
  }
  tail->next = left ? left : right;
  return head.next;
}

static uint16_t lists(uint16_t crc) {
  for (int i = 0; i < NODES; i++) nodes[i] = (node_t){i + 1 < NODES ? &nodes[i + 1] : 0, (int16_t)(next() & 1023), (int16_t)i};
  node_t *list = reverse(nodes);
  for (int wanted = 0; wanted < 64; wanted++) {
    int at = 0;
    const node_t *n = list;
    while (n && n->key != wanted * 16) { n = n->next; at++; }
    crc = crc16(crc, n ? (uint16_t)at : 0xffff);
  }
  list = sort(list, by_key);
  for (const node_t *n = list; n; n = n->next) crc = crc16(crc, (uint16_t)n->key);
  list = sort(list, by_data);
  return crc16(crc, (uint16_t)(list->key + list->next->key));
}

enum { SIDE = 28 };
static int16_t left[SIDE][SIDE], right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];

static uint16_t matrices(uint16_t crc) {
  for (int i = 0; i < SIDE; i++) for (int j = 0; j < SIDE; j++) { left[i][j] = (int16_t)(next() >> 18); right[i][j] = (int16_t)(next() >> 17); }
  for (int i = 0; i < SIDE; i++) {
    for (int j = 0; j < SIDE; j++) {
      int32_t sum = 0;
      for (int k = 0; k < SIDE; k++) sum += ((left[i][k] * right[k][j]) >> 3 & 0xfff) + (left[i][k] >> 2);
      product[i][j] = sum;
    }
  }
  int32_t last = 0, rises = 0;
  for (int i = 0; i < SIDE; i++) for (int j = 0; j < SIDE; j++) { rises += product[i][j] > last; last = product[i][j]; }
  return crc16(crc16(crc, (uint16_t)rises), (uint16_t)last);
}

typedef enum { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, POWER, WRONG, STATES } state_t;

static state_t step(state_t state, char c) {
  const int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
  switch (state) {
    case START: return digit ? INTEGER : sign ? SIGN : c == '.' ? POINT : WRONG;
    case SIGN: return digit ? INTEGER : c == '.' ? POINT : WRONG;
    case INTEGER: return digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WRONG;
    case POINT: return digit ? FRACTION : WRONG;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : WRONG;
    case EXPONENT: return digit || sign ? POWER : WRONG;
    case POWER: return digit ? POWER : WRONG;
    default: return WRONG;
  }
}

static uint16_t words(uint16_t crc) {
  static const char letters[] = "0123456789012345678901234567+-..ee,,,,,x";
  uint16_t counts[STATES] = {0};
  state_t state = START;
  for (int i = 0; i < 4000; i++) {
    const char c = letters[next() % (sizeof letters - 1)];
    if (c == ',') { counts[state]++; state = START; } else state = step(state, c);
  }
  for (int i = 0; i < STATES; i++) crc = crc16(crc, counts[i]);
  return crc;
}

int main(void) {
  uint16_t crc = 0xffff;
  double start = now();
  for (int round = 0; round < 1500; round++) crc = words(matrices(lists(crc)));
  printf("BENCH core_mix %.4f chk=%04x\n", now() - start, crc);
  return 0;
}
